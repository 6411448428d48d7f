package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report is the outcome of a measurement. Times are in milliseconds, and of
// the pictures that went well.
type report struct {
	Clients int `json:"clients"`
	Count   int `json:"count"`
	Errors  int `json:"errors"`
	// FirstError is the first in the order in which pictures were begun.
	FirstError string `json:"firstError,omitempty"`
	// Seconds is the time of the whole measurement, PerSecond the pictures that
	// went well in one of them.
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	Upload    spread  `json:"uploadMs"`
	Total     spread  `json:"totalMs"`
}

// spread is the percentiles of times in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// summarize makes the report.
func summarize(all []sample, took time.Duration, clients int) report {
	r := report{Clients: clients, Count: len(all), Seconds: took.Seconds()}
	var uploads, totals []time.Duration
	for _, s := range all {
		if s.err != nil {
			if r.Errors++; r.Errors == 1 {
				r.FirstError = s.err.Error()
			}
			continue
		}
		uploads, totals = append(uploads, s.upload), append(totals, s.total)
	}
	if took > 0 {
		r.PerSecond = float64(len(totals)) / took.Seconds()
	}
	r.Upload, r.Total = spreadOf(uploads), spreadOf(totals)
	return r
}

// spreadOf sorts the times; it gives zeros for none.
func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	// at gives the smallest time that p percent of all are not above.
	at := func(p int) float64 {
		i := (len(times)*p + 99) / 100
		return float64(times[max(i, 1)-1].Microseconds()) / 1000
	}
	return spread{P50: at(50), P90: at(90), P99: at(99), Max: at(100)}
}

// print writes the report for people, or as one JSON document.
func (r report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "ms\tp50\tp90\tp99\tmax\t")
	for _, row := range []struct {
		name string
		spread
	}{{"upload", r.Upload}, {"upload to finished", r.Total}} {
		_, _ = fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", row.name, row.P50, row.P90, row.P99, row.Max)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d pictures by %d clients in %.2f s: %.1f a second, %d errors\n",
		r.Count, r.Clients, r.Seconds, r.PerSecond, r.Errors)
	return err
}
