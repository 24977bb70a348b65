// Picture draws docs/picture/parts.svg: the parts of the service, and what
// holds what.
//
//	go run ./docs/picture >docs/picture/parts.svg
package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
)

func main() {
	os.Stdout.Write(draw())
}

// Fill colours by what a box is.
const (
	outside = "#f4f4f4" // clients, and qmail's own programs
	held    = "#fff2cc" // what systemd holds, so that restarts lose nothing
	process = "#dbe9f9"
	files   = "#e2f0d9"
)

// A drawing is an SVG in the making.
type drawing struct{ bytes.Buffer }

// box draws a rectangle with a title and lines below it.
func (d *drawing) box(x, y, w, h int, fill, title string, lines ...string) {
	fmt.Fprintf(d, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="#444"/>`+"\n", x, y, w, h, fill)
	d.text(x+w/2, y+20, "bold", title)
	for i, line := range lines {
		d.text(x+w/2, y+38+17*i, "normal", line)
	}
}

func (d *drawing) text(x, y int, weight, text string) {
	fmt.Fprintf(d, `<text x="%d" y="%d" text-anchor="middle" font-weight="%s">%s</text>`+"\n", x, y, weight, html.EscapeString(text))
}

// note is small text that begins at x.
func (d *drawing) note(x, y int, text string) {
	fmt.Fprintf(d, `<text x="%d" y="%d" font-size="12" fill="#333">%s</text>`+"\n", x, y, html.EscapeString(text))
}

// arrow draws a line with a head, through points x1, y1, x2, y2 and so on.
func (d *drawing) arrow(style string, points ...int) {
	d.WriteString(`<polyline fill="none" stroke="#444" stroke-width="1.5" ` + style + ` marker-end="url(#head)" points="`)
	for i := 0; i < len(points); i += 2 {
		fmt.Fprintf(d, "%d,%d ", points[i], points[i+1])
	}
	d.WriteString("\"/>\n")
}

const dashed = `stroke-dasharray="5 4"`

func draw() []byte {
	var d drawing
	d.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 620" font-family="sans-serif" font-size="13">
<title>The parts of the SMTP service, and what holds what</title>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#444"/></marker></defs>
<rect width="1000" height="620" fill="white"/>
`)

	// what systemd holds
	fmt.Fprintf(&d, `<rect x="150" y="56" width="700" height="104" rx="8" fill="none" stroke="#b8860b" stroke-dasharray="6 4"/>`+"\n")
	d.note(162, 74, "systemd runs ./run of each service directory, and holds these while services restart:")
	d.box(170, 90, 180, 52, held, "port 25", "qmail-smtpd.socket")
	d.box(410, 90, 180, 52, held, "log pipe", "qmail-smtpd-log.socket")
	d.box(650, 90, 180, 52, held, "socket of the queue", "qmail-queue.socket")

	// mail
	d.box(10, 90, 100, 52, outside, "client", "SMTP")
	d.arrow("", 110, 116, 170, 116)
	d.box(170, 210, 180, 84, process, "tcpserver", "with qmail-smtpd sessions", "user qmaild")
	d.arrow("", 260, 142, 260, 210)
	d.box(650, 210, 180, 84, process, "qmail-queued", "alone writes the queue", "user qmailq")
	d.arrow("", 740, 142, 740, 210)
	d.arrow("", 350, 280, 620, 280, 620, 116, 650, 116)
	d.note(358, 274, "message and envelope")
	d.arrow("", 350, 230, 380, 230, 380, 116, 410, 116)
	d.note(386, 182, "log lines")
	d.box(410, 196, 180, 52, process, "multilog", "user qmaill")
	d.arrow("", 500, 142, 500, 196)

	// files
	d.box(170, 340, 180, 52, files, "tcp.cdb, control/", "rules, control files")
	d.arrow("", 260, 340, 260, 294)
	d.box(410, 340, 180, 52, files, "log/main/", "current, older logs")
	d.arrow("", 500, 248, 500, 340)
	d.box(650, 340, 180, 52, files, "/var/qmail/queue", "in qmail's format")
	d.arrow("", 740, 294, 740, 340)
	d.box(866, 340, 100, 52, outside, "qmail-send", "delivers")
	d.arrow("", 830, 366, 866, 366)

	// supervision
	d.box(170, 450, 420, 52, files, "/service/smtpd, /service/qmail-queue, and your own", "service directories: run, env/, log/, systemd/, supervise/")
	d.arrow(dashed, 190, 450, 190, 425, 134, 425, 134, 252, 170, 252)
	d.note(90, 420, "its run")
	d.box(690, 450, 140, 52, process, "svscan", "svscan.service")
	d.arrow(dashed, 690, 466, 590, 466)
	d.note(596, 458, "watches,")
	d.note(596, 484, "has supervise/")
	d.arrow(dashed, 830, 476, 985, 476, 985, 40, 700, 40, 700, 56)
	d.note(712, 34, "has units made, started and stopped")
	d.box(170, 550, 300, 44, outside, "svc, svok, svstat, svls, svwait", "of svcompat")
	d.arrow(dashed, 320, 550, 320, 502)
	d.note(328, 530, "control, status")
	d.box(20, 450, 110, 52, outside, "systemctl", "journalctl")
	d.arrow(dashed, 40, 450, 40, 180, 180, 180, 180, 160)

	// legend
	for i, l := range []struct{ fill, text string }{{held, "systemd holds"}, {process, "process"}, {files, "files"}, {outside, "outside"}} {
		x := 540 + 115*i
		fmt.Fprintf(&d, `<rect x="%d" y="572" width="14" height="14" fill="%s" stroke="#444"/>`+"\n", x, l.fill)
		d.note(x+20, 584, l.text)
	}
	d.WriteString("</svg>\n")
	return d.Bytes()
}
