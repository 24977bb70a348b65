package multilog

import (
	"bytes"
	"time"

	"qmail-smtpd/internal/tai64"
)

// script is an open script: it distributes lines over its outputs.
type script struct {
	stamp     func(b []byte, t time.Time) []byte // appends a time; nil: lines get none
	selective bool                               // lines have to be looked at one by one
	steps     []step
	dirs      []*logDir

	// midLine tells that the line in hand has been written as far as it is
	// known; the log directories that selected it get the rest.
	midLine bool

	stderr stderrOutput // of all actions e

	first    []byte // the label of the first line of a batch, with a space
	rest     []byte // that of the others
	labelled []byte // the batch with its labels
}

// step is a part of a script: one thing of it is set.
type step struct {
	selection *selection
	stderr    bool
	status    *statusFile
	logs      *logOutput
}

type selection struct {
	pattern string
	selects bool
}

// open opens the status files of a plan, then its log directories.
func open(p plan) (*script, error) {
	s := &script{stamp: stampOf(p.stamp)}
	files := make([]*statusFile, len(p.actions))
	for i, a := range p.actions {
		if a.kind == toStatusFile {
			var err error
			if files[i], err = openStatusFile(a.text); err != nil {
				return nil, err
			}
		}
	}
	var logs *logOutput // directories that get the same lines share one
	for i, a := range p.actions {
		var next step
		switch a.kind {
		case selectLines, deselectLines:
			next.selection = &selection{a.text, a.kind == selectLines}
			logs = nil
		case toStderr:
			next.stderr = true
		case toStatusFile:
			next.status = files[i]
		case toLogDir:
			dir, err := openLogDir(a.text, a.settings)
			if err != nil {
				return nil, err
			}
			s.dirs = append(s.dirs, dir)
			if logs != nil {
				logs.dirs = append(logs.dirs, dir)
				continue
			}
			logs = &logOutput{dirs: []*logDir{dir}}
			next.logs = logs
		}
		s.selective = s.selective || next.logs == nil
		s.steps = append(s.steps, next)
	}
	return s, nil
}

func stampOf(kind stamp) func(b []byte, t time.Time) []byte {
	switch kind {
	case labelStamp:
		return tai64.AppendLabel
	case timeStamp:
		local := localizer{zone: localZone()}
		return local.appendStamp
	}
	return nil
}

// arrived says that input came just now, which labels the lines that begin
// in it. With begun, the first line had begun before.
func (s *script) arrived(begun bool) {
	if s.stamp == nil {
		return
	}
	s.rest = append(s.stamp(s.rest[:0], time.Now()), ' ')
	if !begun {
		s.first = append(s.first[:0], s.rest...)
	}
}

// process writes data, which follows what it was called with before. Only
// the last line of it may lack its end.
func (s *script) process(data []byte) {
	text := data
	if s.stamp != nil {
		text = s.label(data)
	}
	if s.selective {
		s.distribute(text)
	} else {
		for i := range s.steps {
			s.steps[i].logs.write(text)
		}
	}
	s.midLine = text[len(text)-1] != '\n'
	for _, dir := range s.dirs {
		dir.written()
	}
}

// label returns data with labels, until its next call.
func (s *script) label(data []byte) []byte {
	text := s.labelled[:0]
	if !s.midLine {
		text = append(text, s.first...)
	}
	for {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 || end == len(data) {
			break
		}
		text = append(text, data[:end]...)
		text = append(text, s.rest...)
		data = data[end:]
	}
	text = append(text, data...)
	s.labelled = text
	s.first = append(s.first[:0], s.rest...) // the next line, if it is seen already, began in this batch
	return text
}

// distribute gives each line of text to the outputs that it is selected for.
func (s *script) distribute(text []byte) {
	for start := 0; start < len(text); {
		end, next := len(text), len(text)
		if n := bytes.IndexByte(text[start:], '\n'); n >= 0 {
			end = start + n
			next = end + 1
		}
		if s.midLine {
			for i := range s.steps {
				if logs := s.steps[i].logs; logs != nil && logs.selected {
					logs.add(text, start, next)
				}
			}
		} else {
			s.line(text, start, min(end, start+lineLimit), next)
		}
		s.midLine = false
		start = next
	}
	s.stderr.flush()
	for i := range s.steps {
		switch step := &s.steps[i]; {
		case step.status != nil:
			step.status.flush()
		case step.logs != nil:
			step.logs.flush(text)
		}
	}
}

// line runs the script for the line text[start:next], of which the bytes
// before limit count for all but the log directories.
func (s *script) line(text []byte, start, limit, next int) {
	line := text[start:limit]
	selected := true
	for i := range s.steps {
		switch step := &s.steps[i]; {
		case step.selection != nil:
			if selected != step.selection.selects && match(step.selection.pattern, line) {
				selected = step.selection.selects
			}
		case step.logs != nil:
			step.logs.selected = selected
			if selected {
				step.logs.add(text, start, next)
			}
		case !selected:
		case step.stderr:
			s.stderr.add(line)
		case step.status != nil:
			step.status.set(line)
		}
	}
}

// rotate ends the log of every directory that has a line in it.
func (s *script) rotate() {
	for _, dir := range s.dirs {
		if dir.used > 0 {
			dir.rotate()
		}
	}
}

// watchAges calls wake, from now on, whenever rotateOld has something to do.
func (s *script) watchAges(wake func()) {
	for _, dir := range s.dirs {
		dir.watchAge(wake)
	}
}

// rotateOld ends the log of every directory whose log is too old.
func (s *script) rotateOld() {
	for _, dir := range s.dirs {
		if dir.isOld() {
			dir.rotate()
		}
	}
}

// close completes the logs: the next multilog goes on with them.
func (s *script) close() {
	for _, dir := range s.dirs {
		dir.close()
	}
}
