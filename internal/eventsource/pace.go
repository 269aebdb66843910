package eventsource

// An outcome is how a turn of a mapping ended, the worst last.
type outcome int

const (
	outcomeDone outcome = iota
	outcomeIdle         // there was nothing to do
	outcomeFailed
	outcomeThrottled
)

// pace decides how many batches of a mapping run at a time: few at first, one
// more for each that went well, half as many after a throttle.
type pace struct {
	limit, most, running int
}

const firstPace = 5

// newPace returns the pace of a mapping; most is zero without a bound of its
// own.
func newPace(most int) pace {
	if most == 0 {
		most = maxBatches
	}
	return pace{limit: min(firstPace, most), most: most}
}

// begin reports whether one more batch may run, which it counts then.
func (p *pace) begin() bool {
	if p.running >= p.limit {
		return false
	}
	p.running++
	return true
}

// end counts a batch that has ended.
func (p *pace) end(o outcome) {
	p.running--
	switch o {
	case outcomeDone:
		p.limit = min(p.limit+1, p.most)
	case outcomeIdle:
		p.limit = max(min(firstPace, p.most), p.limit-1)
	case outcomeThrottled:
		p.limit = max(1, p.limit/2)
	case outcomeFailed:
	}
}
