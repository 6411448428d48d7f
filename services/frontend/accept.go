package frontend

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
)

// choose gives the rendition that a request gets for the name that it asked
// for: another name where a rendition in format auto has become a set. It asks
// the master only when the Accept header names a format that a set may have
// beside the one that everyone can show. What cannot be told leaves the name.
func (s *Service) choose(ctx context.Context, r *http.Request, id, name string) string {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.Contains(name, ".") || !namesModern(accept) {
		return name
	}
	st, err := s.deps.Master.IsReady(ctx, id, 0)
	if err != nil {
		return name // Get fails in the same way, and says why
	}
	return best(st.Results, name, accept)
}

// modern are the formats that a set has only for those who name them.
func modern() []pipeline.Format { return []pipeline.Format{pipeline.AVIF, pipeline.WebP} }

// namesModern reports whether a header speaks of a modern format at all.
func namesModern(accept string) bool {
	accept = strings.ToLower(accept)
	for _, f := range modern() {
		if strings.Contains(accept, "image/"+string(f)) {
			return true
		}
	}
	return false
}

// best picks from the set that begins with the rendition of a name, the first
// one for "": what the header prefers, and of those the smallest file. A
// wildcard speaks for the rendition itself only.
func best(all []imagemaster.Picture, name, accept string) string {
	for i, p := range all {
		if name != "" && p.Name != name {
			continue
		}
		found := p
		q := max(weight(accept, p.ContentType), weight(accept, "image/*"), weight(accept, "*/*"))
		for _, other := range all[i+1:] {
			base, format, _ := strings.Cut(other.Name, ".")
			if base != p.Name || format == "" {
				continue
			}
			w := weight(accept, other.ContentType)
			if w > 0 && (w > q || w == q && other.Size < found.Size) {
				found, q = other, w
			}
		}
		return found.Name
	}
	return name
}

// weight is what an Accept header gives to a media type that it names, 0 to 1;
// 0 when it does not, or not in a way that can be read.
func weight(accept, mediaType string) float64 {
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil || t != mediaType {
			continue
		}
		q, given := params["q"]
		if !given {
			return 1
		}
		w, err := strconv.ParseFloat(q, 64)
		if err != nil || w < 0 || w > 1 {
			return 0
		}
		return w
	}
	return 0
}
