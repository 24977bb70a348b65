package generator

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/units"
)

// show prints what the service directories in dir become.
func show(dir string) int {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return command.Fatal(name, "unable to find "+dir, err)
	}
	var held []units.Held
	if dir == scanDir {
		if held, err = units.ReadHeld(units.HeldDir); err != nil {
			return command.Fatal(name, "unable to read "+units.HeldDir, err)
		}
	}
	look := units.LookupIn(units.UnitPath()...)
	services, refused, err := units.Scan(dir, held, look)
	if err != nil {
		return command.Fatal(name, err.Error(), nil)
	}
	out := bufio.NewWriter(os.Stdout)
	files, links := units.Generate(services, look)
	for _, unit := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(out, "# %s/%s\n%s\n", units.LateDir, unit, files[unit])
	}
	for _, link := range slices.Sorted(maps.Keys(links)) {
		fmt.Fprintf(out, "# %s/%s -> %s\n", units.LateDir, link, links[link])
	}
	for _, s := range services {
		for _, ignored := range slices.Concat(s.Ignored, s.LogExtras.Ignored) {
			fmt.Fprintf(out, "# ignored: %s\n", units.Printable(s.Dir+"/"+ignored))
		}
	}
	for _, r := range refused {
		fmt.Fprintf(out, "# refused: %s\n", r.Error())
	}
	if err := out.Flush(); err != nil {
		return command.Fatal(name, "unable to write", err)
	}
	if len(refused) > 0 {
		return 1
	}
	return 0
}
