package svcompat

import "os"

// readDirNames returns the names in the directory dir in the order of the
// directory; together with an error, those before it.
func readDirNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
