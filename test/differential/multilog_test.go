package differential

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMultilog(t *testing.T) { fuzz(t, multilogCase) }

func multilogCase(r *rand.Rand) Case {
	c := Case{Args: []string{"multilog"}, Normal: logged, User: pick(r, uint32(0), 0, nobody)}
	if r.IntN(3) == 0 {
		c.Args = append(c.Args, pick(r, "t", "tx"))
	}
	for range r.IntN(6) {
		switch r.IntN(8) {
		case 0, 1:
			c.Args = append(c.Args, pick(r, "-", "+")+pick(r, "*", "a*", "*b*", "* *", "line*", "", "**", "*\n", "@* a*", "*o", "??"))
		case 2:
			c.Args = append(c.Args, "s"+pick(r, number(r), "4096", "5000", "10000"))
		case 3:
			c.Args = append(c.Args, "n"+pick(r, number(r), "2", "3", "5"))
		case 4:
			c.Args = append(c.Args, pick(r, "e", "ex", "=status", "=./directory", "=missing/x", "z", "", "name"))
		case 5:
			c.Args = append(c.Args, pick(r, "!cat", "!cat; cat <&4 >&5; echo x >&5"))
		default:
			c.Args = append(c.Args, pick(r, "./log", "./log", "./two", "./old", "./missing/x", "./notadir"))
		}
	}
	lines := []string{"a b\n", "line\n", "\n", "o", "x\x00y\n", strings.Repeat("0123456789", 9) + "\n"}
	c.Stdin = text(r, 40, lines...)
	if r.IntN(4) == 0 {
		c.Stdin += strings.Repeat("abcdefghi\n", r.IntN(700)) + strings.Repeat("z", r.IntN(7000))
	}
	// What is pruned depends on where logs are finished: no more of them than
	// are kept.
	room := 9000
	if strings.Contains(strings.Join(c.Args, " "), " n") {
		room = 400
	}
	for len(c.Stdin)+len("@400000004a37c4b2200b5d2c ")*strings.Count(c.Stdin, "\n") > room {
		c.Stdin = c.Stdin[:len(c.Stdin)/2]
	}
	c.Files = append(c.Files, File{Path: "directory", Mode: fs.ModeDir | 0o755}, File{Path: "notadir", Mode: 0o644, Owner: c.User},
		File{Path: "old", Mode: fs.ModeDir | 0o755, Owner: c.User})
	old := func(name string, modes ...fs.FileMode) {
		if r.IntN(3) == 0 {
			c.Files = append(c.Files, File{Path: "old/" + name, Mode: pick(r, modes...), Content: text(r, 5, "before\n", "y"), Owner: c.User})
		}
	}
	old("current", 0o644, 0o744)
	old("previous", 0o644, 0o744)
	old("processed", 0o644, 0o744)
	old("state", 0o644)
	old("newstate", 0o644)
	old("@400000004a37c4b2200b5d2c.s", 0o744)
	old("@400000004a37c4b3200b5d2c.u", 0o644)
	if r.IntN(3) == 0 {
		c.Files = append(c.Files, File{Path: "status", Mode: 0o644, Content: strings.Repeat("s", r.IntN(3000)), Owner: c.User})
	}
	return c
}

// logged gives the files of log directories names and lines without times,
// and joins finished logs: at which line between the size and 2000 bytes less
// a log is finished depends on how much is read at a time.
func logged(o *Outcome) {
	o.Stderr = label.ReplaceAllString(o.Stderr, "@LABEL")
	var names []string
	for name := range o.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	files := map[string]string{}
	for _, name := range names {
		text := label.ReplaceAllString(o.Files[name], "@LABEL")
		dir, base := path.Split(name)
		suffix := ".s"
		if label.MatchString(base) {
			base, suffix = "finished", base[25:]
		} else if base != "current" {
			files[name] = text
			continue
		}
		word := strings.SplitN(text, " ", 3)
		files[dir+base+suffix+" mode and owner"] = word[0] + " " + word[1]
		files[dir+"all"+suffix] += word[2]
	}
	o.Files = files
}

// TestMultilogSignals sends signals at the points of an input that comes in
// pieces.
func TestMultilogSignals(t *testing.T) {
	fuzzSlowly(t, func(r *rand.Rand) Case {
		pieces := make([]string, 1+r.IntN(4))
		signals := make([]unix.Signal, len(pieces))
		for i := range pieces {
			pieces[i] = pick(r, "one\n", "part", "", "x\ny\n", strings.Repeat("long", 600)+"\n")
			signals[i] = pick(r, 0, 0, unix.SIGALRM, unix.SIGTERM)
		}
		return Case{
			Args: []string{"multilog", pick(r, "t", "e"), "./log"}, Normal: logged,
			Run: func(ctx context.Context, cmd *exec.Cmd, dir string) (string, error) {
				return pieceByPiece(ctx, cmd, pieces, signals)
			},
		}
	})
}

// pieceByPiece runs a program, and gives it the next piece and the next signal
// once it has read what was there and waits again, or has ended. It returns
// what was not read.
func pieceByPiece(ctx context.Context, cmd *exec.Cmd, pieces []string, signals []unix.Signal) (string, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return "", err
	}
	defer unix.Close(pipe[0])
	cmd.Stdin = fileOf(pipe[0])
	if err := cmd.Start(); err != nil {
		unix.Close(pipe[1])
		return "", err
	}
	for i, piece := range pieces {
		unix.Write(pipe[1], []byte(piece))
		settle(ctx, cmd.Process.Pid)
		if signals[i] != 0 {
			cmd.Process.Signal(signals[i])
			settle(ctx, cmd.Process.Pid)
		}
	}
	unix.Close(pipe[1])
	err := cmd.Wait()
	rest := make([]byte, 1<<16)
	unix.SetNonblock(pipe[0], true)
	n, _ := unix.Read(pipe[0], rest)
	return "left " + string(rest[:max(n, 0)]), err
}

var sleeping = regexp.MustCompile(`(?m)^State:\s+S`)

// settle waits until all threads of a process sleep, for a while, or it has
// ended.
func settle(ctx context.Context, pid int) {
	for still := 0; still < 15 && ctx.Err() == nil; still++ {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || len(threads) == 0 {
			return
		}
		for _, thread := range threads {
			status, err := os.ReadFile(thread)
			if strings.Contains(string(status), "State:\tZ") {
				return
			}
			if err != nil || !sleeping.Match(status) {
				still = -1
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}
