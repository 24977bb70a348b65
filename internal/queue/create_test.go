package queue

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree lists what is below queue/ with mode, owner, group and size of files;
// of the spread directories only 0 and 22.
func tree(t *testing.T, home string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(home+"/queue", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if number := filepath.Base(path); number[0] >= '0' && number[0] <= '9' && number != "0" && number != "22" {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%v %d:%d %s", info.Mode(), stat.Uid, stat.Gid, strings.TrimPrefix(path, home+"/"))
		if info.Mode().IsRegular() {
			fmt.Fprintf(&b, " %d", info.Size())
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const createdTree = `drwxr-x--- 11:9 queue
drwx------ 12:9 queue/bounce
drwx------ 12:9 queue/info
drwx------ 12:9 queue/info/0
drwx------ 12:9 queue/info/22
drwx------ 11:9 queue/intd
drwx------ 12:9 queue/local
drwx------ 12:9 queue/local/0
drwx------ 12:9 queue/local/22
drwxr-x--- 11:9 queue/lock
-rw------- 12:9 queue/lock/sendmutex 0
-rw-r--r-- 13:9 queue/lock/tcpto 1024
prw--w--w- 12:9 queue/lock/trigger
drwxr-x--- 11:9 queue/mess
drwxr-x--- 11:9 queue/mess/0
drwxr-x--- 11:9 queue/mess/22
drwx------ 11:9 queue/pid
drwx------ 12:9 queue/remote
drwx------ 12:9 queue/remote/0
drwx------ 12:9 queue/remote/22
drwxr-x--- 11:9 queue/todo
`

func TestCreate(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	home := t.TempDir()
	owners := Owners{Queue: 11, Send: 12, Remote: 13, Group: 9}
	for _, lost := range []string{"", "", "queue/lock", "queue/mess", "queue/lock/trigger", "queue/pid"} {
		if lost != "" {
			os.RemoveAll(home + "/" + lost)
			os.MkdirAll(home+"/"+lost+".new/rest", 0o700) // of one that was interrupted
		}
		if err := Create(home, owners); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(createdTree, tree(t, home)); diff != "" {
			t.Errorf("after the loss of %q (-want +got):\n%s", lost, diff)
		}
	}
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	home := t.TempDir()
	if err := Create(home, Owners{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	for i := 5; i < defaultSplit; i++ {
		os.Remove(fmt.Sprintf("%s/queue/mess/%d", home, i))
	}
	os.RemoveAll(home + "/queue/info")
	os.Chmod(home+"/queue/todo", 0o777)
	if err := Create(home, Owners{5, 6, 7, 8}); err != nil {
		t.Fatal(err)
	}
	got := tree(t, home)
	for _, want := range []string{"drwxrwxrwx 1:4 queue/todo\n", "drwx------ 6:8 queue/info\n", "drwx------ 6:8 queue/info/0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if len(list(t, home, "info")) != 5 {
		t.Errorf("info/ is spread over %d, mess/ over 5", len(list(t, home, "info")))
	}
}

func TestCreateFails(t *testing.T) {
	if err := Create("/nonexistent", Owners{}); err == nil {
		t.Error("no error")
	}
}
