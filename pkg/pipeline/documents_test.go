package pipeline_test

import (
	"strings"

	"imagemill/pkg/pipeline"
)

// everything uses each operation and each field that was there first, once.
const everything = `{"version":1,"renditions":[{"name":"a_1-x","autoOrient":false,"operations":[` +
	`{"op":"resize","width":800,"height":600,"fit":"pad","noEnlarge":true,"gravity":"southeast","background":"#aabbcc80"},` +
	`{"op":"crop","width":10,"height":20,"x":0,"y":3},{"op":"crop","width":9,"height":9,"gravity":"north"},` +
	`{"op":"rotate","angle":12.5,"background":"#000000"},{"op":"flip","horizontal":true,"vertical":true},` +
	`{"op":"blur","sigma":1.5},{"op":"sharpen","sigma":0.5},{"op":"grayscale"},{"op":"brightness","percent":-10},` +
	`{"op":"contrast","percent":0},{"op":"gamma","value":2.2},{"op":"saturation","percent":30},` +
	`{"op":"hue","degrees":-90},{"op":"invert"},{"op":"swapRedBlue"}],"format":"jpeg","quality":80,"background":"#ffffff"},` +
	`{"name":"b","operations":[{"op":"resize","height":5,"fit":"contain"}]}]}`

// more uses the rest: it is canonical as it stands.
const more = `{"version":1,"describe":["exif","colors","blurhash","phash"],"renditions":[` +
	`{"name":"cover","focalPoint":{"x":0.25,"y":1},"operations":[` +
	`{"op":"resize","width":800,"height":600,"dpr":2.5,"fit":"cover","gravity":"focus"},{"op":"crop","width":9,"height":9,"gravity":"focus"}],` +
	`"format":"jpeg","quality":"auto","maxBytes":100000,"effort":9,"progressive":true,"chroma":"444","metadata":"copyright","profile":"p3"},` +
	`{"name":"percent","frame":3,"operations":[{"op":"resize","percent":12.5,"fit":"contain"}],"format":"png","effort":1,"colors":16,"metadata":"keep","profile":"keep"},` +
	`{"name":"mega","animated":true,"operations":[{"op":"resize","megapixels":0.5,"fit":"contain","noEnlarge":true}],"format":"webp","quality":{"ssim":0.95}},` +
	`{"name":"loss","operations":[{"op":"resize","width":5,"height":5,"fit":"cover","gravity":"attention"},` +
	`{"op":"crop","width":5,"height":5,"gravity":"entropy"}],"format":"avif","lossless":true},` +
	`{"name":"set","operations":[` +
	`{"op":"trim","threshold":0,"background":"#ffffff"},{"op":"extend","top":1,"right":2,"bottom":3,"left":4,"background":"#00000000"},` +
	`{"op":"pixelate","size":8},{"op":"sepia","percent":50},{"op":"tint","color":"#ff8800"},{"op":"extractChannel","channel":"alpha"},` +
	`{"op":"roundCorners","radius":12},{"op":"roundCorners","percent":50},{"op":"flatten","background":"#eeeeee"},` +
	`{"op":"watermark","image":"01890a5d-ac96-774b-bcce-b302099a8057","rendition":"mark.webp","gravity":"southeast","x":10,"y":-10,"opacity":0.5,"scale":0.2},` +
	`{"op":"watermark","image":"W1","x":10,"tile":true,"opacity":1},` +
	`{"op":"text","text":"© A\nB","size":12.5,"color":"#ffffff80","gravity":"south","x":-3,"y":16384,"opacity":0.01}],"format":"auto"},` +
	`{"name":"tiff","format":"tiff"},{"name":"jxl","format":"jxl","quality":1,"maxBytes":1000},{"name":"gif","animated":true,"format":"gif","colors":256}]}`

// short uses every default.
const short = `{"describe":["phash","exif"],"renditions":[{"operations":[{"op":"trim"},{"op":"sepia"},{"op":"flatten"},` +
	`{"op":"watermark","image":"a"},{"op":"text","text":"x"}]}]}`

// validDocuments are what the tests of schema, docs and fuzzing start from.
func validDocuments() []string {
	return []string{everything, more, short, `{"renditions":[{}]}`,
		ops(`{"op":"resize","width":7,"height":9,"fit":"cover","noEnlarge":true}`),
		ops(`{"op":"roundCorners","percent":0.1},{"op":"extend","left":16384},{"op":"trim","threshold":255}`),
		`{"renditions":[{"name":"a","quality":{"ssim":0.8}},{"name":"b","quality":{"ssim":0.999},"format":"auto"}]}`,
	}
}

// allOperations has one value of every operation's type.
func allOperations() []pipeline.Operation {
	return []pipeline.Operation{
		pipeline.Resize{}, pipeline.Crop{}, pipeline.Rotate{}, pipeline.Flip{}, pipeline.Blur{}, pipeline.Sharpen{},
		pipeline.Grayscale{}, pipeline.Brightness{}, pipeline.Contrast{}, pipeline.Gamma{}, pipeline.Saturation{},
		pipeline.Hue{}, pipeline.Invert{}, pipeline.SwapRedBlue{}, pipeline.Trim{}, pipeline.Extend{}, pipeline.Pixelate{},
		pipeline.Sepia{}, pipeline.Tint{}, pipeline.ExtractChannel{}, pipeline.RoundCorners{}, pipeline.Flatten{},
		pipeline.Watermark{}, pipeline.Text{},
	}
}

func ops(list string) string { return `{"renditions":[{"operations":[` + list + `]}]}` }

func one(fields string) string { return `{"renditions":[{` + fields + `}]}` }

// wrongDocument is refused with a path and a message that has says in it.
type wrongDocument struct {
	doc, path, says string
	// beyondSchema marks what the schema cannot know, or does not bother to say.
	beyondSchema bool
}

func wrongDocuments() []wrongDocument {
	r, o := "renditions[0].", "renditions[0].operations[0]."
	return []wrongDocument{
		{ops(strings.Repeat(`{"op":"invert"},`, 32) + `{"op":"invert"}`), r + "operations", "at most 32", false},
		{``, "", "not JSON", false},
		{`{"renditions":[}`, "", "after byte", false},
		{`{} x`, "", "not JSON", false},
		{`[]`, "", "must be an object", false},
		{`null`, "", "must be an object", false},
		{`{"renditions":[]}`, "renditions", "1 to 32", false},
		{`{"version":2,"renditions":[{}]}`, "version", "only version is 1", false},
		{`{"version":0,"renditions":[{}]}`, "version", "only version is 1", false},
		{`{"version":1,"version":1,"renditions":[{}]}`, "version", "twice", true},
		{`{"Version":1,"renditions":[{}]}`, "Version", "not known", false},
		{`{"renditions":{}}`, "renditions", "list", false},
		{`{"renditions":[{},{}]}`, "renditions[0].name", "only a single rendition", true},
		{`{"renditions":[{"name":"a"},{"name":"a"}]}`, "renditions[1].name", "unique", true},
		{`{"renditions":[{"name":"A"}]}`, "renditions[0].name", "a-z", false},
		{`{"renditions":[{"name":"../x"}]}`, "renditions[0].name", "a-z", false},
		{`{"renditions":[{"name":""}]}`, "renditions[0].name", "empty", false},
		{`{"renditions":[{"format":"bmp"}]}`, "renditions[0].format", "jpeg, png, gif", false},
		{`{"renditions":[{"quality":0}]}`, "renditions[0].quality", "1 to 100", false},
		{`{"renditions":[{"quality":101}]}`, "renditions[0].quality", "1 to 100", false},
		{`{"renditions":[{"quality":"80"}]}`, "renditions[0].quality", "whole number", false},
		{`{"renditions":[{"autoOrient":null}]}`, "renditions[0].autoOrient", "true or false", false},
		{`{"renditions":[{"background":"red"}]}`, "renditions[0].background", "#rrggbb", false},
		{`{"renditions":[{"operations":5}]}`, "renditions[0].operations", "list", false},
		{ops(`7`), "renditions[0].operations[0]", "object", false},
		{ops(`{}`), "renditions[0].operations[0].op", "missing", false},
		{ops(`{"op":"explode"}`), "renditions[0].operations[0].op", "resize, crop", false},
		{ops(`{"op":"invert","x":1}`), "renditions[0].operations[0].x", "not known", false},
		{ops(`{"op":"invert"},{"op":"resize","width":-1}`), "renditions[0].operations[1].width", "1 to 16384", false},
		{ops(`{"op":"resize","width":16385}`), "renditions[0].operations[0].width", "1 to 16384", false},
		{ops(`{"op":"resize","width":1.5}`), "renditions[0].operations[0].width", "whole number", false},
		{ops(`{"op":"resize","width":1e99}`), "renditions[0].operations[0].width", "whole number", false},
		{ops(`{"op":"resize"}`), "renditions[0].operations[0].width", "must be given", false},
		{ops(`{"op":"resize","width":5,"fit":"fill"}`), "renditions[0].operations[0].fit", "cover", false},
		{ops(`{"op":"resize","width":5,"fit":"cover"}`), "renditions[0].operations[0].height", "needs width and height", true},
		{ops(`{"op":"resize","height":5,"fit":"pad"}`), "renditions[0].operations[0].width", "needs width and height", true},
		{ops(`{"op":"resize","width":5,"gravity":"north"}`), "renditions[0].operations[0].gravity", "no meaning", true},
		{ops(`{"op":"resize","width":5,"background":"#000000"}`), "renditions[0].operations[0].background", "no meaning", true},
		{ops(`{"op":"resize","width":5,"height":5,"fit":"cover","gravity":"up"}`), "renditions[0].operations[0].gravity", "northeast", false},
		{ops(`{"op":"crop","width":5}`), "renditions[0].operations[0].height", "1 to 16384", false},
		{ops(`{"op":"crop","width":5,"height":5,"x":1}`), "renditions[0].operations[0].y", "together", false},
		{ops(`{"op":"crop","width":5,"height":5,"y":1}`), "renditions[0].operations[0].x", "together", false},
		{ops(`{"op":"crop","width":5,"height":5,"x":-1,"y":0}`), "renditions[0].operations[0].x", "0 to 100000", false},
		{ops(`{"op":"crop","width":5,"height":5,"x":1,"y":1,"gravity":"west"}`), "renditions[0].operations[0].gravity", "one or the other", true},
		{ops(`{"op":"rotate"}`), "renditions[0].operations[0].angle", "missing", false},
		{ops(`{"op":"rotate","angle":361}`), "renditions[0].operations[0].angle", "-360 to 360", false},
		{ops(`{"op":"flip"}`), "renditions[0].operations[0].horizontal", "must be true", false},
		{ops(`{"op":"blur","sigma":0}`), "renditions[0].operations[0].sigma", "0.1 to 100", false},
		{ops(`{"op":"gamma","value":11}`), "renditions[0].operations[0].value", "0.1 to 10", false},
		{ops(`{"op":"brightness","percent":101}`), "renditions[0].operations[0].percent", "-100 to 100", false},
		{`{"renditions":[{"name":"` + strings.Repeat("x", pipeline.MaxDocument) + `"}]}`, "", "at most 65536", true},
		{ops(`{"op":"resize","percent":0}`), o + "percent", "above 0", false},
		{ops(`{"op":"resize","percent":0.05}`), o + "percent", "0.1 to 1000", false},
		{ops(`{"op":"resize","percent":1001}`), o + "percent", "0.1 to 1000", false},
		{ops(`{"op":"resize","percent":"50"}`), o + "percent", "a number", false},
		{ops(`{"op":"resize","percent":50,"width":5}`), o + "percent", "cannot stand beside width", false},
		{ops(`{"op":"resize","percent":50,"megapixels":1}`), o + "megapixels", "beside percent", false},
		{ops(`{"op":"resize","percent":50,"dpr":2}`), o + "dpr", "no meaning", true},
		{ops(`{"op":"resize","percent":50,"fit":"cover"}`), o + "fit", "with percent allowed is contain", true},
		{ops(`{"op":"resize","megapixels":101}`), o + "megapixels", "0.001 to 100", false},
		{ops(`{"op":"resize","megapixels":1,"height":1}`), o + "megapixels", "cannot stand beside", false},
		{ops(`{"op":"resize","megapixels":1,"fit":"stretch"}`), o + "fit", "with megapixels allowed", true},
		{ops(`{"op":"resize","width":5,"dpr":0.5}`), o + "dpr", "1 to 8", false},
		{ops(`{"op":"resize","width":5,"dpr":9}`), o + "dpr", "1 to 8", false},
		{ops(`{"op":"resize","width":5,"dpr":0}`), o + "dpr", "above 0", false},
		{ops(`{"op":"resize","dpr":2}`), o + "width", "must be given", false},
		{ops(`{"op":"resize","width":10000,"dpr":2}`), o + "dpr", "makes 20000 pixels of 10000", true},
		{ops(`{"op":"resize","width":5,"height":5,"fit":"pad","gravity":"entropy"}`), o + "gravity", "allowed is center", true},
		{ops(`{"op":"resize","width":5,"gravity":"attention"}`), o + "gravity", "no meaning", true},
		{ops(`{"op":"resize","width":5,"height":5,"fit":"cover","gravity":"focus"}`), o + "gravity", "needs the rendition's focalPoint", true},
		{ops(`{"op":"crop","width":5,"height":5,"gravity":"focus"}`), o + "gravity", "needs the rendition's focalPoint", true},
		{ops(`{"op":"crop","width":5,"height":5,"gravity":"Focus"}`), o + "gravity", "attention", false},
		{ops(`{"op":"trim","threshold":256}`), o + "threshold", "0 to 255", false},
		{ops(`{"op":"trim","threshold":-1}`), o + "threshold", "0 to 255", false},
		{ops(`{"op":"trim","background":"white"}`), o + "background", "#rrggbb", false},
		{ops(`{"op":"extend"}`), o + "top", "must be given", false},
		{ops(`{"op":"extend","top":0}`), o + "top", "must be given", true},
		{ops(`{"op":"extend","left":-1}`), o + "left", "0 to 16384", false},
		{ops(`{"op":"extend","right":16385}`), o + "right", "0 to 16384", false},
		{ops(`{"op":"extend","bottom":1.5}`), o + "bottom", "whole number", false},
		{ops(`{"op":"extend","top":1,"background":"#12"}`), o + "background", "#rrggbb", false},
		{ops(`{"op":"pixelate"}`), o + "size", "missing", false},
		{ops(`{"op":"pixelate","size":1}`), o + "size", "2 to 1000", false},
		{ops(`{"op":"pixelate","size":1001}`), o + "size", "2 to 1000", false},
		{ops(`{"op":"sepia","percent":101}`), o + "percent", "0 to 100", false},
		{ops(`{"op":"sepia","percent":-1}`), o + "percent", "0 to 100", false},
		{ops(`{"op":"tint"}`), o + "color", "#rrggbb", false},
		{ops(`{"op":"tint","color":"#ff000080"}`), o + "color", "without transparency", false},
		{ops(`{"op":"tint","color":7}`), o + "color", "a string", false},
		{ops(`{"op":"extractChannel"}`), o + "channel", "red, green, blue, alpha", false},
		{ops(`{"op":"extractChannel","channel":"cyan"}`), o + "channel", "red, green, blue, alpha", false},
		{ops(`{"op":"roundCorners"}`), o + "radius", "must be given", false},
		{ops(`{"op":"roundCorners","radius":0}`), o + "radius", "above 0", false},
		{ops(`{"op":"roundCorners","radius":8193}`), o + "radius", "1 to 8192", false},
		{ops(`{"op":"roundCorners","percent":51}`), o + "percent", "0.1 to 50", false},
		{ops(`{"op":"roundCorners","percent":5,"radius":5}`), o + "percent", "one or the other", false},
		{ops(`{"op":"flatten","background":"#ffffff00"}`), o + "background", "without transparency", false},
		{ops(`{"op":"flatten","color":"#ffffff"}`), o + "color", "not known; allowed is op, background", false},
		{ops(`{"op":"watermark"}`), o + "image", "missing", false},
		{ops(`{"op":"watermark","image":"../etc/passwd"}`), o + "image", "ID of a finished image", false},
		{ops(`{"op":"watermark","image":"a/b"}`), o + "image", "letters, digits and -", false},
		{ops(`{"op":"watermark","image":"a","rendition":"../x"}`), o + "rendition", "name of a rendition", false},
		{ops(`{"op":"watermark","image":"a","gravity":"attention"}`), o + "gravity", "center", false},
		{ops(`{"op":"watermark","image":"a","tile":true,"gravity":"north"}`), o + "gravity", "no meaning", true},
		{ops(`{"op":"watermark","image":"a","tile":true,"x":-1}`), o + "x", "0 to 16384", true},
		{ops(`{"op":"watermark","image":"a","y":-16385}`), o + "y", "-16384 to 16384", false},
		{ops(`{"op":"watermark","image":"a","opacity":0}`), o + "opacity", "0.01 to 1", false},
		{ops(`{"op":"watermark","image":"a","opacity":1.1}`), o + "opacity", "0.01 to 1", false},
		{ops(`{"op":"watermark","image":"a","scale":0}`), o + "scale", "above 0", false},
		{ops(`{"op":"watermark","image":"a","scale":2}`), o + "scale", "0.01 to 1", false},
		{ops(`{"op":"watermark","image":"a","tile":"yes"}`), o + "tile", "true or false", false},
		{ops(`{"op":"text"}`), o + "text", "missing", false},
		{ops(`{"op":"text","text":""}`), o + "text", "empty", false},
		{ops(`{"op":"text","text":"` + strings.Repeat("é", 501) + `"}`), o + "text", "501 characters", false},
		{ops(`{"op":"text","text":"a\u0007b"}`), o + "text", "control character", true},
		{ops(`{"op":"text","text":"x","size":3}`), o + "size", "4 to 1000", false},
		{ops(`{"op":"text","text":"x","color":"black"}`), o + "color", "#rrggbb", false},
		{ops(`{"op":"text","text":"x","gravity":"focus"}`), o + "gravity", "center", false},
		{ops(`{"op":"text","text":"x","x":99999}`), o + "x", "-16384 to 16384", false},
		{ops(`{"op":"text","text":"x","opacity":-1}`), o + "opacity", "0.01 to 1", false},
		{one(`"quality":"best"`), r + "quality", `"auto" or`, false},
		{one(`"quality":null`), r + "quality", "whole number", false},
		{one(`"quality":{}`), r + "quality.ssim", "missing", false},
		{one(`"quality":{"ssim":0}`), r + "quality.ssim", "0.8 to 0.999", false},
		{one(`"quality":{"ssim":0.7}`), r + "quality.ssim", "0.8 to 0.999", false},
		{one(`"quality":{"ssim":1}`), r + "quality.ssim", "0.8 to 0.999", false},
		{one(`"quality":{"ssim":0.9,"ssim":0.9}`), r + "quality.ssim", "twice", true},
		{one(`"quality":{"psnr":40}`), r + "quality.ssim", "missing", false},
		{one(`"quality":{"ssim":0.9,"psnr":40}`), r + "quality.psnr", "not known", false},
		{one(`"quality":[80]`), r + "quality", "whole number", false},
		{one(`"quality":"auto","format":"png"`), r + "quality", "no meaning for format png", true},
		{one(`"quality":80,"lossless":true,"format":"webp"`), r + "quality", "beside lossless", true},
		{one(`"quality":"auto","lossless":true,"format":"webp"`), r + "quality", "beside lossless", true},
		{one(`"maxBytes":999`), r + "maxBytes", "1000 to", false},
		{one(`"maxBytes":0`), r + "maxBytes", "above 0", false},
		{one(`"maxBytes":1e99`), r + "maxBytes", "whole number", false},
		{one(`"maxBytes":5000,"format":"tiff"`), r + "maxBytes", "no meaning for format tiff; it is for auto, jpeg, webp", true},
		{one(`"maxBytes":5000,"format":"jxl","lossless":true`), r + "maxBytes", "beside lossless", true},
		{one(`"effort":0`), r + "effort", "above 0", false},
		{one(`"effort":10`), r + "effort", "1 to 9", false},
		{one(`"effort":-1`), r + "effort", "1 to 9", false},
		{one(`"progressive":true,"format":"webp"`), r + "progressive", "no meaning", true},
		{one(`"progressive":1`), r + "progressive", "true or false", false},
		{one(`"chroma":"422"`), r + "chroma", "420, 444", false},
		{one(`"chroma":420`), r + "chroma", "a string", false},
		{one(`"chroma":"444","format":"png"`), r + "chroma", "no meaning", true},
		{one(`"chroma":"444","format":"avif","lossless":true`), r + "chroma", "beside lossless", true},
		{one(`"lossless":true,"format":"jpeg"`), r + "lossless", "no meaning", true},
		{one(`"colors":1`), r + "colors", "2 to 256", false},
		{one(`"colors":257`), r + "colors", "2 to 256", false},
		{one(`"colors":16,"format":"jpeg"`), r + "colors", "no meaning", true},
		{one(`"metadata":"all"`), r + "metadata", "copyright, keep", false},
		{one(`"metadata":""`), r + "metadata", "empty", false},
		{one(`"profile":"cmyk"`), r + "profile", "p3, keep", false},
		{one(`"frame":-1`), r + "frame", "0 to 9999", false},
		{one(`"frame":10000`), r + "frame", "0 to 9999", false},
		{one(`"frame":1,"animated":true`), r + "frame", "beside animated", true},
		{one(`"animated":true,"format":"jpeg"`), r + "animated", "no meaning", true},
		{one(`"focalPoint":{"x":0.5,"y":0.5}`), r + "focalPoint", "no meaning", true},
		{one(`"focalPoint":{"x":0.5}`), r + "focalPoint.y", "missing", false},
		{one(`"focalPoint":{"x":0,"y":0,"z":0}`), r + "focalPoint.z", "not known", false},
		{one(`"focalPoint":[0,0]`), r + "focalPoint", "must be an object", false},
		{one(`"focalPoint":null`), r + "focalPoint", "must be an object", false},
		{one(`"focalPoint":{"x":1.5,"y":0},"operations":[{"op":"crop","width":1,"height":1,"gravity":"focus"}]`), r + "focalPoint.x", "0 to 1", false},
		{one(`"name":"a.webp"`), r + "name", "a-z", false},
		{one(`"format":"heic"`), r + "format", "auto, jpeg, png, gif, webp, avif, tiff, jxl", false},
		{`{"describe":["faces"],"renditions":[{}]}`, "describe[0]", "exif, colors, blurhash, phash", false},
		{`{"describe":["exif","exif"],"renditions":[{}]}`, "describe[1]", "twice", false},
		{`{"describe":["exif",7],"renditions":[{}]}`, "describe[1]", "a string", false},
		{`{"describe":["exif",""],"renditions":[{}]}`, "describe[1]", "allowed is exif", false},
		{`{"describe":"exif","renditions":[{}]}`, "describe", "a list", false},
		{`{"describe":["exif","colors","phash","blurhash","exif"],"renditions":[{}]}`, "describe", "at most 4", false},
		{`{"renditions":[` + strings.Repeat(`{},`, 32) + `{}]}`, "renditions", "there are 33; at most 32", false},
		{`{"renditions":[` + strings.Repeat(`{},`, 99) + `{}]}`, "renditions", "at most 32", false},
		{ops(strings.TrimSuffix(strings.Repeat(`{"op":"text","text":"`+strings.Repeat("<", 500)+`"},`, 32), ",")), "", "written out", true},
	}
}
