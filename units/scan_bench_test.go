package units

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkScan1000 reads and renders 1,000 linked service directories, each
// with a log and env/.
func BenchmarkScan1000(b *testing.B) {
	top := b.TempDir()
	scanDir := filepath.Join(top, "service")
	if err := os.Mkdir(scanDir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		dir := filepath.Join(top, fmt.Sprintf("var/%d", i))
		makeDir(b, dir, map[string]string{
			"run": "", "log/run": "", "log/main/": "", "supervise/": "", "log/supervise/": "",
			"env/IP": "0\n", "env/PORT": "25\n", "systemd/listen": "$IP:$PORT\n",
		})
		if err := os.Symlink(dir, filepath.Join(scanDir, fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		services, refused, err := Scan(scanDir, nil, LookupIn(UnitPath()...))
		if len(services) != 1000 || len(refused) != 0 || err != nil {
			b.Fatal(len(services), refused, err)
		}
		if files, _ := Generate(services, nil); len(files) != 4000 {
			b.Fatal(len(files))
		}
	}
}
