package pipeline_test

import (
	"encoding/json"
	"fmt"
	"net/url"

	"imagemill/pkg/pipeline"
)

func ExampleParse() {
	p, err := pipeline.Parse([]byte(`{"renditions": [
		{"name": "thumb", "operations": [{"op": "resize", "width": 256, "height": 256, "fit": "cover"}]},
		{"name": "large", "operations": [{"op": "resize", "width": 2000}, {"op": "sharpen", "sigma": 0.5}], "quality": 90}
	]}`))
	fmt.Println(p.Renditions[0].Name, p.Renditions[1].Operations[1].Op(), err)

	_, err = pipeline.Parse([]byte(`{"renditions": [{"operations": [{"op": "blur", "sigma": -3}]}]}`))
	fmt.Println(err)
	// Output:
	// thumb sharpen <nil>
	// renditions[0].operations[0].sigma: is -3; allowed is 0.1 to 100
}

func ExampleFromQuery() {
	values, _ := url.ParseQuery("preset=&width=800&swap=rb&format=png")
	p, given, err := pipeline.FromQuery(values, "preset")
	out, _ := json.Marshal(p.Renditions[0])
	fmt.Println(given, err, string(out))
	// Output:
	// true <nil> {"name":"default","operations":[{"op":"resize","width":800,"fit":"contain"},{"op":"swapRedBlue"}],"format":"png"}
}

func ExampleRendition_Plan() {
	r := pipeline.DefaultPresets()["default"].Renditions[0]
	plan, err := r.Plan(4000, 3000, 6) // a phone held upright
	fmt.Println(plan[0].Width, plan[0].Height, "→", plan.Result().Width, plan.Result().Height, err)
	// Output:
	// 3000 4000 → 960 1280 <nil>
}

func ExampleRendition_PlanFrom() {
	r := pipeline.Rendition{Operations: []pipeline.Operation{pipeline.Trim{Threshold: 10}, pipeline.Resize{Width: 400}}}
	plan, _ := r.Plan(1000, 500, 1)
	fmt.Println("expected", plan.Result().Width, plan.Result().Height, plan.Result().AtMost)
	plan, err := r.PlanFrom(1, 800, 200) // what the trim has left
	fmt.Println("becomes", plan.Result().Width, plan.Result().Height, plan.Result().AtMost, err)
	// Output:
	// expected 400 200 true
	// becomes 400 100 false <nil>
}

func ExamplePipeline_Expand() {
	p, _ := pipeline.Parse([]byte(`{"renditions": [{"name": "hero", "format": "auto", "quality": "auto"}]}`))
	for _, r := range p.Expand(func(f pipeline.Format) bool { return f == pipeline.WebP }).Renditions {
		fmt.Println(r.Name, r.Format)
	}
	// Output:
	// hero auto
	// hero.webp webp
}
