package frontend

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/serve"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
)

// accepted is the body of a 202.
type accepted struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	StatusURL string `json:"statusUrl"`
	ImageURL  string `json:"imageUrl"`
}

// newImage is POST /newImage, called by users. A repeat makes a new image, unless both
// bring the same Idempotency-Key.
func (s *Service) newImage(c echo.Context) error {
	done, err := s.live.admit()
	if err != nil {
		closeAfter(c)
		return err
	}
	defer done()
	u, err := s.upload(c)
	if err != nil {
		closeAfter(c)
		return err
	}
	acc, err := s.deps.Master.NewImage(c.Request().Context(), u)
	if err != nil {
		closeAfter(c)
		return fmt.Errorf("new image: %w", err)
	}
	a := accepted{
		ID: acc.ID, State: cmp.Or(acc.State, imagemaster.StateInProgress),
		StatusURL: "/image/isReady?id=" + acc.ID, ImageURL: "/image/get?id=" + acc.ID,
	}
	c.Response().Header().Set(echo.HeaderLocation, a.StatusURL)
	return c.JSON(http.StatusAccepted, a)
}

// closeAfter ends the connection after the answer: the rest of a refused body
// is not worth reading.
func closeAfter(c echo.Context) { c.Response().Header().Set("Connection", "close") }

// upload checks all that can be checked before the body is passed on.
func (s *Service) upload(c echo.Context) (imagemaster.Upload, error) {
	r, most := c.Request(), s.live.maxBody.Get()
	if r.ContentLength > int64(most) {
		return imagemaster.Upload{}, fault.Newf(fault.TooLarge, "the body is larger than the allowed %s", most)
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return imagemaster.Upload{}, err
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, int64(most))
	body := serve.Paced(c, r.Body, serve.Pace{Grace: s.cfg.BodyGrace, Rate: int64(s.cfg.BodyRate)})
	size, query := r.ContentLength, r.URL.Query()
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if mediaType == "multipart/form-data" {
		part, fields, err := imagePart(body, params["boundary"])
		if err != nil {
			return imagemaster.Upload{}, err
		}
		for name, v := range fields {
			query[name] = append(query[name], v...)
		}
		body, size = part, -1
	}
	u := imagemaster.Upload{Size: size, Owner: owner(c), Dedupe: s.cfg.Dedupe}
	if err := queueing(query, time.Now(), &u); err != nil {
		return u, err
	}
	if err := expiry(query, &u, time.Now()); err != nil {
		return u, err
	}
	p, err := s.pipeline(query)
	if err != nil {
		return u, err
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return u, fmt.Errorf("encode pipeline: %w", err)
	}
	buffered := bufio.NewReaderSize(body, lookAt(size))
	engines := s.engines()
	format, err := s.inspect(buffered, engines)
	if err == nil {
		err = able(p, format, engines, len(query["pipeline"])+len(query["preset"]) == 0)
	}
	u.Pipeline, u.ContentType, u.Body, u.IdempotencyKey = doc, format.MIME(), buffered, key
	return u, err
}

// maxField bounds a form field beside the image.
const maxField = pipeline.MaxDocument + 1

// maxFields is more than there are parameters.
const maxFields = 128

// imagePart reads a form up to its image, which streams; fields must come before
// it, since an image is passed on while it arrives.
func imagePart(body io.Reader, boundary string) (io.Reader, url.Values, error) {
	if boundary == "" {
		return nil, nil, fault.New(fault.Invalid, "the form has no boundary in its Content-Type")
	}
	form, fields := multipart.NewReader(body, boundary), url.Values{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil, fault.New(fault.Invalid, "the form has no field named image").WithField("image")
		}
		if err != nil {
			return nil, nil, formError(err)
		}
		if part.FormName() == "image" {
			return &lastPart{part: part, form: form}, fields, nil
		}
		v, err := io.ReadAll(io.LimitReader(part, maxField))
		if err != nil {
			return nil, nil, formError(err)
		}
		if len(v) == maxField || len(fields) > maxFields {
			return nil, nil, fault.New(fault.TooLarge, "the form field is too large, or there are too many").WithField(part.FormName())
		}
		fields.Add(part.FormName(), string(v))
	}
}

// formError keeps the kind of an error of the body and names any other.
func formError(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return fault.Wrap(fault.Invalid, "the form is malformed or breaks off", err)
}

// lastPart streams the image of a form and refuses what follows it, which would
// otherwise be ignored without a word.
type lastPart struct {
	part *multipart.Part
	form *multipart.Reader
}

func (l *lastPart) Read(p []byte) (int, error) {
	n, err := l.part.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF: //nolint:errorlint // Reader's contract: io.EOF itself
		return n, formError(err)
	}
	next, err := l.form.NextPart()
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	if err != nil {
		return n, formError(err)
	}
	return n, fault.New(fault.Invalid, "comes after the image; send the fields of the form before it").WithField(next.FormName())
}

// pipeline finds what to do: a preset, a document or single parameters, but no
// two of them; the preset "default" where nothing is said.
func (s *Service) pipeline(query url.Values) (pipeline.Pipeline, error) {
	single, given, err := pipeline.FromQuery(query, "preset", "pipeline", "key", paramLane, paramNotBefore, paramDelay, paramDedupe)
	if err != nil {
		return single, imagemaster.InvalidPipeline(err)
	}
	preset, doc := query["preset"], query["pipeline"]
	if len(preset)+len(doc) > 1 || (given && len(preset)+len(doc) > 0) {
		return single, fault.New(fault.Invalid, "give either operations, or one preset, or one pipeline").WithField("pipeline")
	}
	switch {
	case given:
		return single, nil
	case len(doc) == 1:
		p, err := pipeline.Parse([]byte(doc[0]))
		if err != nil {
			return p, imagemaster.InvalidPipeline(err)
		}
		return p, nil
	case len(preset) == 0:
		preset = []string{"default"}
	}
	all := s.live.presets.Get()
	p, ok := all[preset[0]]
	if !ok {
		names := slices.Sorted(maps.Keys(all))
		return p, fault.Newf(fault.Invalid, "there is no preset %.64q; there are %s", preset[0], strings.Join(names, ", ")).
			WithField("preset")
	}
	return p, nil
}

// sniffBytes is how much of an upload is looked at before it is passed on.
const sniffBytes = 32 << 10

// lookAt is how much of a body of a size, -1 for unknown, is looked at.
func lookAt(size int64) int {
	if size < 0 {
		return sniffBytes
	}
	return int(min(size, sniffBytes))
}

// inspect looks at the first bytes without taking them: what the format is, and
// where the header says so, how large the picture.
func (s *Service) inspect(r *bufio.Reader, engines []ability.Set) (sniff.Format, error) {
	prefix, err := r.Peek(r.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return "", formError(err)
	}
	if len(prefix) == 0 {
		return "", fault.New(fault.Invalid, "the body is empty; send the bytes of an image")
	}
	format := sniff.Sniff(prefix)
	if allowed := s.inputs(engines); !slices.Contains(allowed, format) {
		return "", unsupported(format, allowed)
	}
	if info, ok := sniff.Header(prefix); ok {
		pixels, side := s.live.pixels.Get(), s.live.side.Get()
		if info.Pixels() > pixels || max(info.Width, info.Height) > side {
			return "", fault.Newf(fault.TooLarge, "the picture is %d×%d; at most %d pixels in all and %d a side are allowed",
				info.Width, info.Height, pixels, side)
		}
	}
	return format, nil
}

// unsupported names what is taken in.
func unsupported(f sniff.Format, allowed []sniff.Format) error {
	what := "the bytes are those of no known image format"
	if f != sniff.Unknown {
		what = "the image is in the format " + f.Name() + ", which is not supported"
	}
	names := make([]string, len(allowed))
	for i, f := range allowed {
		names[i] = f.Name()
	}
	return fault.Newf(fault.Unsupported, "%s; send one of: %s", what, strings.Join(names, ", "))
}
