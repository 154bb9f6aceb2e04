package policy_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"patchmesh/policy"
	"patchmesh/policy/tuftest"
)

// pure is the client workflow with folders in memory: no disk, no network.
type pure struct {
	repo    *tuftest.Repo
	roles   map[string][]byte
	mark    int64
	targets map[string]string
}

func startPure(_ *testing.T, r *tuftest.Repo) tuftest.Client {
	return &pure{repo: r, roles: map[string][]byte{}, targets: map[string]string{}}
}

func (p *pure) Init(root []byte) error {
	p.roles["root"] = root
	return nil
}

func (p *pure) Refresh(at time.Time) error { return p.Download(at) }

func (p *pure) Download(at time.Time, names ...string) error {
	c := policy.NewTUFClient(p.roles["root"], p.mark, at, policy.TUFOptions{AllKeyTypes: true})
	if err := p.steps(c); err != nil {
		return err
	}
	for _, name := range names {
		c.Find(name)
		if err := p.steps(c); err != nil {
			return err
		}
		t, err := c.Target()
		if err != nil {
			return err
		}
		if err := p.fetch(t); err != nil {
			return err
		}
	}
	return nil
}

func (p *pure) steps(c *policy.TUFClient) error {
	for s, more := c.Next(); more; s, more = c.Next() {
		switch s.Kind {
		case policy.TUFLoad:
			c.Supply(p.roles[s.Role])
		case policy.TUFFetch:
			c.Supply(p.repo.Metadata(s.File))
		case policy.TUFSave:
			p.roles[s.Role] = s.Body
			if s.Role == "root" {
				p.mark = s.Mark
			}
			c.Supply(nil)
		case policy.TUFForget:
			delete(p.roles, "timestamp")
			delete(p.roles, "snapshot")
			p.mark = 0
			c.Supply(nil)
		}
	}
	return c.Err()
}

func (p *pure) fetch(t *policy.TUFTarget) error {
	verify := func(b []byte) error {
		v, err := t.Verifier()
		if err != nil {
			return err
		}
		if _, err := v.Write(b); err != nil {
			return err
		}
		return v.Check()
	}
	if have, ok := p.targets[t.Name]; ok && verify([]byte(have)) == nil {
		return nil
	}
	b := p.repo.Target(t.File)
	if b == nil {
		return errors.New("404")
	}
	if err := verify(b); err != nil {
		return err
	}
	p.targets[t.Name] = string(b)
	return nil
}

func (p *pure) Role(name string) []byte { return p.roles[name] }
func (p *pure) Roles() int              { return len(p.roles) }
func (p *pure) Targets() (out []string) {
	for _, b := range p.targets {
		out = append(out, b)
	}
	return out
}

func TestPureClientPassesTheSuite(t *testing.T) {
	n := tuftest.Run(t, startPure)
	t.Log(fmt.Sprintf("%d cases", n))
}
