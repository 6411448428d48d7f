package pipeline

// DefaultPresets gives the presets that imagemill knows from the start, by
// name, as a fresh map each time. "default" is what an upload without any
// operation gets: within 1280×1280, never enlarged, red and blue exchanged.
func DefaultPresets() map[string]Pipeline {
	within := func(side int, more ...Operation) Pipeline {
		ops := append([]Operation{Resize{Width: side, Height: side, Fit: Contain, NoEnlarge: true}}, more...)
		return single(Rendition{Operations: ops})
	}
	return map[string]Pipeline{
		"default":   within(1280, SwapRedBlue{}),
		"thumbnail": single(Rendition{Operations: []Operation{Resize{Width: 256, Height: 256, Fit: Cover}}}),
		"small":     within(640),
		"medium":    within(1280),
		"large":     within(2560),
	}
}

// single is a pipeline of one rendition with the default name.
func single(r Rendition) Pipeline {
	r.Name = DefaultName
	return Pipeline{Version: 1, Renditions: []Rendition{r}}
}
