package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"imagemill/internal/shared"
	"imagemill/pkg/discovery"
)

// changeLine is one setting, or its end, as JSON.
type changeLine struct {
	Name    string  `json:"name"`
	Value   *string `json:"value"` // null: not set
	Version uint64  `json:"version,omitempty"`
	Writer  string  `json:"writer,omitempty"`
	// Refused says why no service applies it.
	Refused string `json:"refused,omitempty"`
}

// change describes a setting that is there.
func change(name string, e discovery.Entry) changeLine {
	line := changeLine{Name: name, Value: &e.Value, Version: e.Version, Writer: e.Writer}
	if known, err := shared.Catalogue().Find(name); err != nil {
		line.Refused = "no service knows it"
	} else if err := known.Check(e.Value); err != nil {
		line.Refused = err.Error()
	}
	return line
}

// changes lists what differs between two documents, of one name or all.
func changes(old, now discovery.Document, only string) []changeLine {
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	var lines []changeLine
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, there := old[name]
		e, is := now[name]
		switch {
		case only != "" && name != only, there && is && was == e:
		case is:
			lines = append(lines, change(name, e))
		default:
			lines = append(lines, changeLine{Name: name})
		}
	}
	return lines
}

// printLine prints one change.
func (o *operator) printLine(out io.Writer, line changeLine) error {
	if o.json {
		return json.NewEncoder(out).Encode(line)
	}
	text := "(not set)"
	if line.Value != nil {
		text = fmt.Sprintf("%s  by %s", printable(*line.Value), or(line.Writer, "unknown"))
	}
	if line.Refused != "" {
		text += "  REFUSED: " + printable(line.Refused)
	}
	_, err := fmt.Fprintf(out, "%s  %s  %s\n", time.Now().Format(time.TimeOnly), line.Name, text)
	return err
}

// printAll prints all settings: those that there can be and those that there are.
func (o *operator) printAll(out io.Writer, doc discovery.Document) error {
	names := slices.Sorted(maps.Keys(doc))
	if o.json {
		all := []changeLine{}
		for _, name := range names {
			all = append(all, change(name, doc[name]))
		}
		return printJSON(out, all)
	}
	for _, k := range shared.Catalogue() {
		if name := k.Describe().Name; !strings.HasSuffix(name, "*") && doc[name] == (discovery.Entry{}) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	t := newTable(out)
	t.row("NAME", "VALUE", "WRITER", "REMARK")
	for _, name := range slices.Compact(names) {
		e, set := doc[name]
		if !set {
			t.row(name, "-", "", "")
			continue
		}
		line, remark := change(name, e), ""
		if line.Refused != "" {
			remark = "REFUSED: " + printable(line.Refused)
		}
		t.row(name, cut(printable(e.Value), 60), or(e.Writer, "unknown"), remark)
	}
	return t.flush()
}

// table aligns columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) table { return table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t table) flush() error { return t.w.Flush() }

// printJSON prints one indented document.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// harmless keeps what somebody wrote from steering the terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// printable is harmless and stays on one line.
func printable(s string) string {
	return strings.NewReplacer("\n", "·", "\t", "·").Replace(harmless(s))
}

// cut bounds a text in runes.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
