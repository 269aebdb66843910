package meter

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/packs"
)

// A Report is what verification found.
type Report struct {
	OK      bool   `json:"ok"`
	Groups  uint64 `json:"groups"`  // that were checked
	Records uint64 `json:"records"` // in these
	First   uint64 `json:"first"`   // group; above 1 where retention has removed those before
	Head    Head   `json:"head"`    // the end of what was checked

	// What is wrong, if anything is: the first of it.
	Problem   string `json:"problem,omitempty"`
	BadGroup  uint64 `json:"badGroup,omitempty"`
	BadRecord uint64 `json:"badRecord,omitempty"` // its number; zero where it cannot be told
}

// An Anchor is a Head that was kept elsewhere; its Records may be zero.
type Anchor = Head

// A verifier checks a chain from group to group.
type verifier struct {
	Report
	anchors []Anchor // that must be met, in no order
	skips   skips
	next    uint64 // number of the first record of the next group
}

// group checks the next group.
func (v *verifier) group(seq uint64, message []byte) error {
	switch last := v.Head.Seq; {
	case v.Groups == 0:
		v.First = seq
	case seq != last+1:
		return &damage{group: last + 1, err: fmt.Errorf("this group and those up to %d are missing", seq-1)}
	}
	g, err := decodeGroup(message)
	if d := (*damage)(nil); errors.As(err, &d) {
		d.group = seq
		return d
	}
	if err := v.link(seq, &g); err != nil {
		return &damage{group: seq, err: err}
	}
	v.Head = Head{Seq: seq, Records: g.next() - 1, Hash: g.hash()}
	v.skips.put(seq, v.Head.Hash)
	v.next = g.next()
	v.Groups++
	v.Records += g.count
	for _, a := range v.anchors {
		if a.Seq == seq && a.Hash != v.Head.Hash {
			return &damage{group: seq, record: g.first, err: errors.New("it is not the group that was here when its hash was noted")}
		}
	}
	return nil
}

// link checks how a group follows from those before it.
func (v *verifier) link(seq uint64, g *group) error {
	if g.seq != seq {
		return errPlace
	}
	before := v.Head.Hash // zeros before the first
	known := v.Groups > 0 || seq == 1
	switch {
	case known && g.previous != before:
		return errors.New("it does not follow from the group before it")
	case known && g.first != max(v.next, 1):
		return fmt.Errorf("it begins with record %d, and should with %d", g.first, max(v.next, 1))
	}
	if hash, ok := v.skips.get(skipTo(seq)); ok && g.skip != hash && g.skip != (Hash{}) {
		return fmt.Errorf("it does not follow from group %d", skipTo(seq))
	}
	return nil
}

// end checks that nothing is missing after the last group.
func (v *verifier) end() error {
	for _, a := range v.anchors {
		if a.Seq > v.Head.Seq {
			return &damage{group: v.Head.Seq + 1, record: v.next, err: fmt.Errorf("this group and those up to %d are missing", a.Seq)}
		}
		if a.Seq > 0 && a.Seq < v.First {
			return &damage{group: a.Seq, err: errors.New("the group whose hash was noted is not kept any more")}
		}
	}
	return nil
}

// finish completes the report with what was wrong.
func (v *verifier) finish(err error) (Report, error) {
	var d *damage
	switch {
	case err == nil:
		v.OK = true
	case errors.As(err, &d):
		v.Problem, v.BadGroup, v.BadRecord = err.Error(), d.group, d.record
		if d.record == 0 && v.Groups > 0 {
			v.BadRecord = v.next // the whole group is in doubt, from its first on
		} else if d.group == 1 {
			v.BadRecord = 1
		}
	default:
		return v.Report, err
	}
	return v.Report, nil
}

// Verify checks the whole ledger up to where it is when the call begins, and
// that it has the anchors. An error says that it could not be read to the end;
// what is wrong with it is in the Report.
func (m *Meter) Verify(ctx context.Context, anchors ...Anchor) (Report, error) {
	return verify(ctx, m.log, append(anchors, m.Head()))
}

// CheckFiles looks for damage in the files of a ledger, in the directory dir,
// that keeps a state server from reading them to the end: it comes before
// VerifyStopped. The Report is OK where there is none; what there is in the
// groups before it is not looked for.
func CheckFiles(dir string) (Report, error) {
	err := packs.FindJump(dir)
	v, jump := &verifier{}, (*packs.Jump)(nil)
	if errors.As(err, &jump) {
		d := &damage{group: jump.After + 1, err: err}
		if g, err := decodeGroup(jump.Pack); err == nil {
			d.record = g.next()
		}
		err = d
	}
	return v.finish(err)
}

// VerifyStopped is Verify for the ledger of a server that does not run, of
// which js is the state and dir the journal's directory.
func VerifyStopped(ctx context.Context, js jetstream.JetStream, dir string, anchors ...Anchor) (Report, error) {
	noted, err := readHead(filepath.Join(dir, "head"))
	if err != nil {
		return Report{}, err
	}
	log, err := openStream(ctx, js)
	if err != nil {
		return Report{}, err
	}
	return verify(ctx, log, append(anchors, noted))
}

// verify reads a log from its first group on. Where retention removes what is
// about to be read, it begins anew with what is left.
func verify(ctx context.Context, log *packs.Log, anchors []Anchor) (Report, error) {
	v := &verifier{anchors: anchors}
	first, err := log.First(ctx)
	if err != nil {
		return Report{}, err
	}
	for seq := first; err == nil && seq <= log.Seq(); seq++ {
		var message []byte
		if message, err = log.Read(ctx, seq); err == nil {
			err = v.group(seq, message)
			continue
		}
		if now, firstErr := log.First(ctx); firstErr == nil && now > seq {
			v, seq, err = &verifier{anchors: anchors}, now-1, nil
		} else if ctx.Err() == nil {
			err = &damage{group: seq, err: fmt.Errorf("it can't be read: %w", err)}
		}
	}
	if err == nil {
		err = v.end()
	}
	return v.finish(err)
}
