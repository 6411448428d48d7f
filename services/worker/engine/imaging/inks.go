package imaging

import "math"

// What follows says how inks look of which no profile does. It is the model of
// Yule, Nielsen and Neugebauer: inks are printed as dots that spread by a gain and
// lie on each other by chance, the paper shows each mixture of full and of half
// inks for a share of its area, and the light of these adds up, scattered within
// the paper by an exponent. The numbers come out of TestFitUsualInks: they are fitted
// to how inks look to the native engine, which has the profile of a usual press.

// yuleNielsen is the exponent.
const yuleNielsen = 1.5

// inkScale is white in inkPoints.
const inkScale = 10000

// dotGain is how much more of the paper half a cover of cyan, magenta, yellow and
// black hides.
var dotGain = [4]float64{0.095, 0.100, 0.095, 0.060}

// inkPoints are the colours of no, half and full inks, those of black side by
// side, in each line those of one cyan and one magenta: X, Y and Z by that of white,
// to the power of 1/yuleNielsen.
var inkPoints = [81][3]int16{
	{10000, 10000, 10000}, {4352, 4344, 4364}, {717, 681, 768}, {8987, 9202, 5488}, {4366, 4423, 3312}, {694, 678, 696}, {8564, 8800, 1994}, {4045, 4167, 1336}, {718, 699, 687},
	{7192, 6009, 6361}, {3814, 3406, 3620}, {726, 671, 777}, {6903, 5846, 4206}, {3631, 3287, 2632}, {664, 613, 697}, {6662, 5650, 1591}, {3388, 3087, 1136}, {669, 617, 680},
	{5399, 3380, 3584}, {2856, 1887, 2289}, {658, 552, 731}, {5235, 3306, 2566}, {2795, 1877, 1755}, {574, 489, 640}, {5119, 3259, 1091}, {2651, 1794, 901}, {684, 593, 733},
	{5859, 6405, 8790}, {3388, 3590, 4373}, {674, 670, 805}, {5275, 6067, 5170}, {3071, 3350, 3047}, {636, 635, 732}, {4864, 5728, 1917}, {2827, 3180, 1296}, {656, 656, 705},
	{4648, 4347, 6050}, {2867, 2765, 3449}, {641, 613, 754}, {4195, 4063, 3939}, {2709, 2661, 2527}, {658, 634, 746}, {3886, 3842, 1518}, {2477, 2488, 1133}, {628, 609, 708},
	{3240, 2136, 3354}, {2063, 1422, 2182}, {550, 494, 670}, {3138, 2118, 2529}, {1958, 1381, 1655}, {568, 510, 696}, {2901, 1985, 1093}, {1845, 1329, 912}, {530, 482, 680},
	{3083, 3942, 7824}, {1728, 2226, 3971}, {558, 576, 793}, {2362, 3541, 4805}, {1503, 2108, 2839}, {556, 573, 760}, {1780, 3131, 1754}, {1225, 1942, 1249}, {516, 516, 681},
	{2252, 2619, 5554}, {1438, 1677, 3143}, {520, 514, 736}, {1846, 2411, 3722}, {1267, 1587, 2372}, {537, 528, 696}, {1421, 2182, 1468}, {1015, 1427, 1110}, {545, 523, 701},
	{1365, 1006, 3145}, {963, 759, 2041}, {495, 472, 677}, {1169, 935, 2315}, {839, 705, 1560}, {567, 546, 728}, {936, 853, 1099}, {723, 669, 882}, {603, 583, 777},
}

// usualInks is the way from inks without a profile.
func usualInks() *transform {
	return &transform{inks: true, grid: newGrid(4, ofInks, func(v [4]float64) [3]float64 {
		at, share := mixture(v, dotGain)
		var xyz [3]float64
		for i, p := range at {
			for c, l := range inkPoints[p] {
				xyz[c] += share[i] * float64(l)
			}
		}
		for c, v := range xyz {
			v = max(v, 0) / inkScale
			xyz[c] = whiteD50[c] * v * math.Sqrt(v)
		}
		return lightOf(xyz)
	})}
}

// mixture tells what shares of the paper show which of inkPoints.
func mixture(v, gain [4]float64) (at [16]int, share [16]float64) {
	share[0] = 1
	n := 1
	for i, ink := range v {
		low, part := split(ink+4*gain[i]*ink*(1-ink), 3)
		for j := range n {
			at[j] = 3*at[j] + low
			at[n+j], share[n+j] = at[j]+1, share[j]*part
			share[j] *= 1 - part
		}
		n *= 2
	}
	return at, share
}
