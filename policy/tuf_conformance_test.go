package policy_test

import (
	"errors"
	"strings"
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

// publicSuite is what the public conformance suite asks (theupdateframework/tuf-conformance, 113 cases
// with their parameters): the names of its tests and how many cases each has.
var publicSuite = map[string]int{
	"test_basic_refresh_requests": 1, "test_basic_refresh_trusted_data": 1, "test_implicit_refresh": 1, "test_invalid_initial_root": 1,
	"test_unsigned_initial_root": 1, "test_unsigned_metadata": 4, "test_url_and_metadata_version_mismatch": 3, "test_timestamp_content_changes": 1,
	"test_basic_metadata_hash_support": 1, "test_targets_hash_mismatch": 1, "test_snapshot_hash_mismatch": 1, "test_metadata_bytes_match": 1,
	"test_custom_fields": 1, "test_deprecated_keyid_hash_algorithms": 1, "test_snapshot_404": 1, "test_targets_404": 1, "test_timestamp_404": 1,
	"test_incorrect_metadata_type": 1, "test_faketime": 1,
	"test_root_expired": 1, "test_timestamp_expired": 1, "test_snapshot_expired": 1, "test_targets_expired": 1, "test_expired_local_root": 1, "test_expired_local_timestamp": 1,
	"test_client_downloads_expected_file": 1, "test_client_downloads_expected_file_in_sub_dir": 1, "test_repository_substitutes_target_file": 1,
	"test_multiple_changes_to_target": 1, "test_download_with_hash_algorithms": 3, "test_download_with_unknown_hash_algorithm": 1, "test_artifact_cache": 1,
	"test_snapshot_does_not_meet_threshold": 1, "test_snapshot_has_too_few_keys": 1, "test_duplicate_keys": 1, "test_duplicate_sig_keyids": 1,
	"test_keytype_and_scheme": 3, "test_invalid_sig_in_valid_metadata": 1, "test_unusual_role_name": 4,
	"test_new_timestamp_version_rollback": 1, "test_snapshot_rollback": 2, "test_targets_role_removal": 1, "test_targets_fast_forward_recovery": 1,
	"test_new_snapshot_fast_forward_recovery": 1, "test_new_timestamp_fast_forward_recovery": 1, "test_targets_rollback": 2,
	"test_graph_traversal": 12, "test_targetfile_search": 9, "test_cached_role_is_verified_against_current_delegator": 1, "test_delegation_not_in_snapshot": 1,
	"test_root_rotation": 15, "test_non_root_rotations": 10, "test_static_repository": 1,
}

func TestEveryCaseOfThePublicSuiteIsInOurs(t *testing.T) {
	ours := map[string]int{}
	seen := map[string]bool{}
	for _, c := range tuftest.Cases() {
		name, _, _ := strings.Cut(c.Name, "/")
		ours[name]++
		if seen[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	for name, n := range publicSuite {
		if ours[name] < n {
			t.Errorf("%s: %d of %d cases", name, ours[name], n)
		}
	}
}

func TestPureClientPassesTheSuite(t *testing.T) {
	n := tuftest.Run(t, startPure)
	t.Logf("%d cases", n)
}
