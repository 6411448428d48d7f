package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// native is an engine that can do everything, pure one that decodes whole
// pictures only.
func native() engine.Abilities {
	return engine.Abilities{
		Engine: "native", Shrinks: []string{"jpeg", "webp"}, Fast: true, Animation: true, Profiles: true, Metadata: true,
		Out: []pipeline.Format{pipeline.JPEG, pipeline.PNG, pipeline.GIF, pipeline.WebP, pipeline.AVIF, pipeline.TIFF},
	}
}

func photograph(w, h int) engine.Picture {
	return engine.Picture{
		Format: "jpeg", Width: w, Height: h, Orientation: 1, Frames: 1, Bands: 3, Depth: 8, Chroma: engine.Chroma420,
	}
}

// read parses renditions, without the braces around the list.
func read(t *testing.T, renditions string) pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Parse([]byte(`{"renditions":[` + renditions + `]}`))
	require.NoError(t, err)
	return p
}

func TestTheOriginalIsDecodedAsSmallAsEveryRenditionBears(t *testing.T) {
	turned := photograph(4000, 3000)
	turned.Orientation = 6
	png := photograph(4000, 3000)
	png.Format = "png"
	for name, c := range map[string]struct {
		picture    engine.Picture
		renditions string
		shrink     int
	}{
		"a photograph to 800":         {photograph(4000, 3000), `{"operations":[{"op":"resize","width":800}]}`, 4},
		"exactly an eighth":           {photograph(4000, 3000), `{"operations":[{"op":"resize","width":500}]}`, 8},
		"an eighth of odd sides":      {photograph(4001, 2999), `{"operations":[{"op":"resize","width":501,"height":375,"fit":"stretch"}]}`, 8},
		"a pixel more than an eighth": {photograph(4000, 3000), `{"operations":[{"op":"resize","width":501}]}`, 4},
		"tiny":                        {photograph(4000, 3000), `{"operations":[{"op":"resize","width":16}]}`, 8},
		"larger than half":            {photograph(4000, 3000), `{"operations":[{"op":"resize","width":2560}]}`, 1},
		"enlarged":                    {photograph(400, 300), `{"operations":[{"op":"resize","width":800}]}`, 1},
		"by height when turned":       {turned, `{"operations":[{"op":"resize","height":1000}]}`, 4},
		"as stored":                   {turned, `{"autoOrient":false,"operations":[{"op":"resize","height":1000}]}`, 2},
		"cover needs the shorter":     {photograph(4000, 3000), `{"operations":[{"op":"resize","width":700,"height":700,"fit":"cover"}]}`, 4},
		"cover between whole pixels":  {photograph(4000, 3000), `{"operations":[{"op":"resize","width":370,"height":370,"fit":"cover"}]}`, 4},
		"cover where it likes":        {photograph(4000, 3000), `{"operations":[{"op":"resize","width":370,"height":370,"fit":"cover","gravity":"attention"}]}`, 8},
		"cover at an edge":            {photograph(4000, 3000), `{"operations":[{"op":"resize","width":370,"height":370,"fit":"cover","gravity":"west"}]}`, 8},
		"pad scales as contain":       {photograph(4000, 3000), `{"operations":[{"op":"resize","width":2000,"height":370,"fit":"pad"}]}`, 8},
		"percent":                     {photograph(4000, 3000), `{"operations":[{"op":"resize","percent":25}]}`, 4},
		"device pixels":               {photograph(4000, 3000), `{"operations":[{"op":"resize","width":500,"dpr":2}]}`, 4},
		"a crop leaves less":          {photograph(4000, 3000), `{"operations":[{"op":"crop","width":1600,"height":1600,"x":800,"y":80},{"op":"resize","width":400}]}`, 4},
		"a crop between pixels":       {photograph(4000, 3000), `{"operations":[{"op":"crop","width":1600,"height":1600,"x":801,"y":81},{"op":"resize","width":400}]}`, 2},
		"a blur comes first":          {photograph(4000, 3000), `{"operations":[{"op":"blur","sigma":3},{"op":"resize","width":400}]}`, 1},
		"a trim comes first":          {photograph(4000, 3000), `{"operations":[{"op":"trim"},{"op":"resize","width":400}]}`, 1},
		"no resize":                   {photograph(4000, 3000), `{"operations":[{"op":"grayscale"}]}`, 1},
		"nothing at all":              {photograph(4000, 3000), `{"format":"png"}`, 1},
		"the largest counts": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":100}]},{"name":"b","operations":[{"op":"resize","width":1999}]}`, 2},
		"a format that cannot": {png, `{"operations":[{"op":"resize","width":800}]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Make(read(t, c.renditions), c.picture, native())
			require.NoError(t, err)
			require.Equal(t, c.shrink, got.Shrink)
			require.Equal(t, (c.picture.Width+c.shrink-1)/c.shrink, got.Width)
			require.Equal(t, (c.picture.Height+c.shrink-1)/c.shrink, got.Height)
		})
	}
}

func TestRenditionsContinueFromTheNextLargerOne(t *testing.T) {
	const six = `{"name":"a","format":"webp","operations":[{"op":"resize","width":320}]},
		{"name":"b","format":"webp","operations":[{"op":"resize","width":640}]},
		{"name":"c","format":"webp","operations":[{"op":"resize","width":1280}]},
		{"name":"d","format":"webp","operations":[{"op":"resize","width":2560}]}`
	turned := photograph(4000, 3000)
	turned.Orientation = 6
	for name, c := range map[string]struct {
		picture    engine.Picture
		renditions string
		want       [][2]int // rendition and from, in order
	}{
		"widths": {photograph(4000, 3000), six, [][2]int{{3, -1}, {2, 3}, {1, 2}, {0, 1}}},
		"formats of one size": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":400}]},{"name":"b","format":"webp","operations":[{"op":"resize","width":400}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"too near": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":559}]},{"name":"b","operations":[{"op":"resize","width":400}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"a cover from a whole picture": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":200,"height":200,"fit":"cover"}]},{"name":"b","operations":[{"op":"resize","width":800}]}`,
			[][2]int{{1, -1}, {0, 1}}},
		"nothing from a cover": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800,"height":800,"fit":"cover"}]},{"name":"b","operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"what comes after does not count": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800},{"op":"crop","width":9,"height":9},{"op":"flip","vertical":true}]},{"name":"b","operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, 0}}},
		"nothing after a crop": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","operations":[{"op":"crop","width":2000,"height":2000},{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"a cut too near": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","operations":[{"op":"resize","width":310,"height":310,"fit":"cover"}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"not across the paths": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","format":"png","operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"not across orientations": {turned,
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","autoOrient":false,"operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, -1}}},
		"orientation 1 is the same either way": {photograph(4000, 3000),
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","autoOrient":false,"operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, 0}}},
		"not from an enlarged one": {photograph(400, 300),
			`{"name":"a","operations":[{"op":"resize","width":800}]},{"name":"b","operations":[{"op":"resize","width":200}]}`,
			[][2]int{{0, -1}, {1, -1}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Make(read(t, c.renditions), c.picture, native())
			require.NoError(t, err)
			var order [][2]int
			for _, s := range got.Steps {
				order = append(order, [2]int{s.Rendition, s.From})
			}
			require.Equal(t, c.want, order)
		})
	}
}

func TestWhatTheFastPathTakes(t *testing.T) {
	with := func(change func(*engine.Picture)) engine.Picture {
		p := photograph(4000, 3000)
		change(&p)
		return p
	}
	plain := photograph(4000, 3000)
	const small = `{"operations":[{"op":"resize","width":800}]}`
	for name, c := range map[string]struct {
		picture   engine.Picture
		rendition string
		why       string // empty: fast
	}{
		"resize":         {plain, small, ""},
		"webp":           {plain, `{"format":"webp","operations":[{"op":"resize","width":800}]}`, ""},
		"all geometry":   {plain, `{"operations":[{"op":"crop","width":900,"height":900},{"op":"resize","width":80,"height":80,"fit":"cover"},{"op":"flip","vertical":true},{"op":"rotate","angle":-90}]}`, ""},
		"an opaque pad":  {plain, `{"operations":[{"op":"resize","width":80,"height":80,"fit":"pad","background":"#ffeedd"}]}`, ""},
		"progressive":    {with(func(p *engine.Picture) { p.Interlaced = true }), small, ""},
		"grey":           {with(func(p *engine.Picture) { p.Chroma, p.Bands = engine.ChromaGray, 1 }), small, ""},
		"422":            {with(func(p *engine.Picture) { p.Chroma = engine.Chroma422 }), small, ""},
		"named srgb":     {with(func(p *engine.Picture) { p.Profile = engine.ProfileSRGB }), small, ""},
		"png":            {with(func(p *engine.Picture) { p.Format = "png" }), small, "the original is png"},
		"cmyk":           {with(func(p *engine.Picture) { p.Chroma = engine.ChromaCMYK }), small, "cmyk"},
		"odd sampling":   {with(func(p *engine.Picture) { p.Chroma = "" }), small, "unusual"},
		"twelve bits":    {with(func(p *engine.Picture) { p.Depth = 12 }), small, "12 bits"},
		"p3":             {with(func(p *engine.Picture) { p.Profile = engine.ProfileP3 }), small, "p3"},
		"to png":         {plain, `{"format":"png"}`, "the result is png"},
		"lossless":       {plain, `{"format":"webp","lossless":true}`, "lossless"},
		"quality auto":   {plain, `{"quality":"auto"}`, "likeness"},
		"bounded":        {plain, `{"maxBytes":10000}`, "bounded"},
		"metadata":       {plain, `{"metadata":"copyright"}`, "metadata"},
		"profile":        {plain, `{"profile":"keep"}`, "profile"},
		"a blur":         {plain, `{"operations":[{"op":"blur","sigma":3}]}`, "operations[0] blur"},
		"odd angle":      {plain, `{"operations":[{"op":"resize","width":80},{"op":"rotate","angle":45}]}`, "operations[1]"},
		"a clear pad":    {plain, `{"operations":[{"op":"resize","width":80,"height":80,"fit":"pad"}]}`, "transparency"},
		"a chosen place": {plain, `{"operations":[{"op":"crop","width":80,"height":80,"gravity":"entropy"}]}`, "entropy"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Make(read(t, c.rendition), c.picture, native())
			require.NoError(t, err)
			step := got.Steps[0]
			require.Equal(t, c.why == "", step.Fast, step.Why)
			require.Contains(t, step.Why, c.why)
			require.Equal(t, step.Fast, step.Why == "")
		})
	}
	got, err := Make(read(t, small), plain, engine.Abilities{})
	require.NoError(t, err)
	require.False(t, got.Steps[0].Fast)
	require.Contains(t, got.Steps[0].Why, "no fast path")
}

// What is opaque and decoded whole is made from planes where a JPEG would take the
// fast path, and continues from its like only.
func TestPlanesOfWhatLibvipsDecodes(t *testing.T) {
	const small = `{"format":"jpeg","operations":[{"op":"resize","width":800}]}`
	png := engine.Picture{Format: "png", Width: 4000, Height: 3000, Orientation: 1, Frames: 1, Bands: 3, Depth: 8}
	with := func(change func(*engine.Picture)) engine.Picture {
		p := png
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		picture   engine.Picture
		rendition string
		planes    bool
	}{
		"png":      {png, small, true},
		"16 bits":  {with(func(p *engine.Picture) { p.Depth = 16 }), small, true},
		"avif":     {with(func(p *engine.Picture) { p.Format = "avif" }), small, true},
		"tiff":     {with(func(p *engine.Picture) { p.Format = "tiff" }), small, false},
		"clear":    {with(func(p *engine.Picture) { p.Alpha, p.Bands = true, 4 }), small, false},
		"a colour": {with(func(p *engine.Picture) { p.Alpha = true }), small, false},
		"grey":     {with(func(p *engine.Picture) { p.Bands = 1 }), small, false},
		"frames":   {with(func(p *engine.Picture) { p.Frames = 2 }), small, false},
		"the same": {png, `{"operations":[{"op":"resize","width":80}]}`, false},
		"a blur":   {png, `{"format":"jpeg","operations":[{"op":"blur","sigma":3}]}`, false},
	} {
		got, err := Make(read(t, c.rendition), c.picture, native())
		require.NoError(t, err)
		require.Equal(t, c.planes, got.Steps[0].Planes, name)
		require.False(t, got.Steps[0].Fast, name)
		require.Contains(t, []string{engine.PathVips, engine.PathPlanes}, got.Steps[0].Path, name)
		require.Equal(t, c.planes, got.Steps[0].Path == engine.PathPlanes, name)
	}
}

func TestAnImpossibleOperationIsRefused(t *testing.T) {
	_, err := Make(read(t, `{"operations":[{"op":"crop","width":9,"height":9,"x":9000,"y":0}]}`), photograph(40, 30), native())
	require.ErrorContains(t, err, "outside")
}

// A decoder that leaves out what does not fill a whole pixel is not let to leave
// out more than a quarter of one, but where the fast path decodes.
func TestWhatIsLeftOutAtTheEdgesIsLittle(t *testing.T) {
	can := native()
	can.Floors = true
	slow := `{"format":"png","operations":[{"op":"resize","width":100},{"op":"blur","sigma":2}]}`
	for sides, want := range map[[2]int]int{
		{4000, 3000}: 8, {4002, 3000}: 8, {4003, 3000}: 1, {4004, 3000}: 4, {4001, 3005}: 4, {4000, 3006}: 2, {4001, 3007}: 1,
	} {
		got, err := Make(read(t, slow), photograph(sides[0], sides[1]), can)
		require.NoError(t, err)
		require.Equal(t, want, got.Shrink, "%v", sides)
		require.Equal(t, (sides[0]+want-1)/want, got.Width, "%v", sides)
	}
	fast, err := Make(read(t, `{"operations":[{"op":"resize","width":100}]}`), photograph(4003, 3000), can)
	require.NoError(t, err)
	require.True(t, fast.Steps[0].Fast)
	require.Equal(t, 8, fast.Shrink)
	webp := photograph(4003, 3000)
	webp.Format = "webp"
	other, err := Make(read(t, slow), webp, can)
	require.NoError(t, err)
	require.Equal(t, 8, other.Shrink, "of WebP nothing is left out")
}
