package units

import (
	"strings"
)

// Generate renders the units of services, as Scan returned them: files, name
// → text, and symbolic links, name → target, with names relative to LateDir.
func Generate(services []Service, look Lookup) (files, links map[string]string) {
	files, links = map[string]string{}, map[string]string{}
	for _, s := range services {
		generate(s, look, files, links)
	}
	return files, links
}

// GenerateOne is the part of Generate that one service makes.
func GenerateOne(s Service, look Lookup) (files, links map[string]string) {
	files, links = map[string]string{}, map[string]string{}
	generate(s, look, files, links)
	return files, links
}

// generate adds the files and links of s. A unit that is not there gets a
// file, and a link where it is to be started at boot. One that is there gets
// neither, but a drop-in where it needs one.
func generate(s Service, look Lookup, files, links map[string]string) {
	rendered := Render(s)
	for _, unit := range s.Units() {
		dropIn := unit + ".d/05-svcompat.conf"
		if look != nil {
			if file, found := look(unit); found {
				if text := adapt(s, unit, file, rendered); text != "" {
					files[dropIn] = text
				}
				continue
			}
		}
		files[unit] = rendered[unit]
		if text := rendered[dropIn]; text != "" {
			files[dropIn] = text
		}
		down := s.Down
		if unit == s.Base+"-log.service" || unit == s.Base+"-log.socket" {
			down = s.LogDown
		}
		if !s.Gone && !down {
			links[wants(unit)] = "../" + unit
		}
	}
}

// wants is the link that starts a unit at boot.
func wants(unit string) string {
	if strings.HasSuffix(unit, ".socket") {
		return "sockets.target.wants/" + unit
	}
	return "multi-user.target.wants/" + unit
}
