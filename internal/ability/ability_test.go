package ability_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/ability"
	"imagemill/internal/fault"
	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
)

func parse(t testing.TB, document string) pipeline.Pipeline {
	p, err := pipeline.Parse([]byte(document))
	require.NoError(t, err)
	return p
}

// The numbers are written into databases and registries: they stay.
func TestBitsKeepTheirMeaning(t *testing.T) {
	require.Equal(t, ability.Set(1<<0), ability.Reading(sniff.JPEG))
	require.Equal(t, ability.Set(1<<6), ability.Reading(sniff.AVIF))
	require.Equal(t, ability.Set(1<<10), ability.Reading(sniff.PDF))
	require.Equal(t, ability.Set(1<<24), ability.Writing(pipeline.JPEG))
	require.Equal(t, ability.Set(1<<28), ability.Writing(pipeline.WebP))
	require.Equal(t, ability.Set(1<<30), ability.Writing(pipeline.JXL))
	require.Equal(t, ability.Set(1<<40), ability.Animation)
	require.Equal(t, ability.Set(1<<45), ability.Lossless)
	require.Zero(t, ability.Reading(sniff.Unknown)|ability.Reading(sniff.PSD)|ability.Writing(pipeline.Same)|ability.Writing(pipeline.Auto))
	for _, s := range []ability.Set{0, ability.Lossless, 1<<53 - 1} {
		again, err := ability.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	}
	for _, text := range []string{"", "x", "-1", "20000000000000"} {
		_, err := ability.Parse(text)
		require.Error(t, err, text)
	}
}

func TestWhatAPipelineNeeds(t *testing.T) {
	for document, want := range map[string]ability.Set{
		`{"renditions":[{}]}`:                                                       0,
		`{"renditions":[{"format":"auto"}]}`:                                        0,
		`{"renditions":[{"format":"webp","lossless":true}]}`:                        ability.Writing(pipeline.WebP) | ability.Lossless,
		`{"renditions":[{"format":"jpeg","progressive":true}]}`:                     ability.Writing(pipeline.JPEG) | ability.Progressive,
		`{"renditions":[{"format":"avif","chroma":"444"}]}`:                         ability.Writing(pipeline.AVIF) | ability.FullChroma,
		`{"renditions":[{"format":"jpeg","chroma":"420"}]}`:                         ability.Writing(pipeline.JPEG),
		`{"renditions":[{"format":"gif","animated":true}]}`:                         ability.Writing(pipeline.GIF) | ability.Animation,
		`{"renditions":[{"metadata":"keep","profile":"p3"}]}`:                       ability.Metadata | ability.Profiles,
		`{"renditions":[{"name":"a","format":"png"},{"name":"b","format":"tiff"}]}`: ability.Writing(pipeline.PNG) | ability.Writing(pipeline.TIFF),
	} {
		require.Equal(t, want|ability.Reading(sniff.HEIC), ability.Needs(parse(t, document), sniff.HEIC), document)
		require.Equal(t, want, ability.Needs(parse(t, document), sniff.Unknown), document)
	}
}

func TestWhatNoEngineCanDoIsNamed(t *testing.T) {
	plain := ability.Reading(sniff.JPEG) | ability.Writing(pipeline.JPEG) | ability.Writing(pipeline.PNG)
	webp := ability.Reading(sniff.JPEG) | ability.Writing(pipeline.WebP)
	check := func(document string, engines ...ability.Set) error {
		return ability.Check(fault.Invalid, parse(t, document), sniff.JPEG, engines...)
	}
	require.NoError(t, check(`{"renditions":[{"format":"avif"}]}`), "nothing is known of any engine")
	require.NoError(t, check(`{"renditions":[{"format":"webp"}]}`, plain, webp))
	err := check(`{"renditions":[{"name":"a","format":"png"},{"name":"b","format":"avif"}]}`, plain, webp)
	require.ErrorContains(t, err, "renditions[1].format: AVIF cannot be written here; JPEG, PNG, WebP can")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	err = check(`{"renditions":[{"name":"a","format":"png"},{"name":"b","format":"webp"}]}`, plain, webp)
	require.ErrorContains(t, err, "only parts of it")
	err = check(`{"renditions":[{"format":"jpeg","progressive":true}]}`, plain, webp)
	require.ErrorContains(t, err, "renditions[0].progressive")
}

func Example() {
	p, _ := pipeline.Parse([]byte(`{"renditions":[{"format":"webp"}]}`))
	can := ability.Reading(sniff.PNG) | ability.Writing(pipeline.JPEG)
	fmt.Println(can.Covers(ability.Needs(p, sniff.PNG)))
	fmt.Println(ability.Check(fault.Invalid, p, sniff.PNG, can))
	// Output:
	// false
	// renditions[0].format: WebP cannot be written here; JPEG can
}
