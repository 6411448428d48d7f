package pipeline

// Op is "resize".
func (Resize) Op() string { return "resize" }

// Op is "crop".
func (Crop) Op() string { return "crop" }

// Op is "rotate".
func (Rotate) Op() string { return "rotate" }

// Op is "flip".
func (Flip) Op() string { return "flip" }

// Op is "blur".
func (Blur) Op() string { return "blur" }

// Op is "sharpen".
func (Sharpen) Op() string { return "sharpen" }

// Op is "grayscale".
func (Grayscale) Op() string { return "grayscale" }

// Op is "brightness".
func (Brightness) Op() string { return "brightness" }

// Op is "contrast".
func (Contrast) Op() string { return "contrast" }

// Op is "gamma".
func (Gamma) Op() string { return "gamma" }

// Op is "saturation".
func (Saturation) Op() string { return "saturation" }

// Op is "hue".
func (Hue) Op() string { return "hue" }

// Op is "invert".
func (Invert) Op() string { return "invert" }

// Op is "swapRedBlue".
func (SwapRedBlue) Op() string { return "swapRedBlue" }

// Op is "trim".
func (Trim) Op() string { return "trim" }

// Op is "extend".
func (Extend) Op() string { return "extend" }

// Op is "pixelate".
func (Pixelate) Op() string { return "pixelate" }

// Op is "sepia".
func (Sepia) Op() string { return "sepia" }

// Op is "tint".
func (Tint) Op() string { return "tint" }

// Op is "extractChannel".
func (ExtractChannel) Op() string { return "extractChannel" }

// Op is "roundCorners".
func (RoundCorners) Op() string { return "roundCorners" }

// Op is "flatten".
func (Flatten) Op() string { return "flatten" }

// Op is "watermark".
func (Watermark) Op() string { return "watermark" }

// Op is "text".
func (Text) Op() string { return "text" }
