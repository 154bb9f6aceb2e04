//go:build unix

package control

import (
	"context"

	"patchmesh/node/api"
)

// The rest of what counting counts: whoever adds a method to the service adds it here, and its route to
// readOnly or orderRoutes.

func (c *counting) EnrolRequests(context.Context, api.EnrolQuery) (*api.EnrolList, error) {
	c.order("")
	return &api.EnrolList{}, nil
}
func (c *counting) DecideEnrol(context.Context, api.EnrolDecision) (*api.EnrolRequest, error) {
	c.order("")
	return &api.EnrolRequest{}, nil
}
func (c *counting) AnswerEnrol(context.Context, api.SealedRequest) (*api.SealedAnswer, error) {
	c.order("")
	return &api.SealedAnswer{}, nil
}
func (c *counting) TrustLife(context.Context, api.TrustLife) (*api.TrustLife, error) {
	c.order("")
	return &api.TrustLife{}, nil
}
func (c *counting) EnrolKeys(context.Context) (*api.EnrolKeys, error) {
	c.order("")
	return &api.EnrolKeys{}, nil
}
func (c *counting) ChangeEnrolKeys(context.Context, api.EnrolKeyChange) (*api.EnrolKeys, error) {
	c.order("")
	return &api.EnrolKeys{}, nil
}
func (c *counting) Revoke(context.Context, api.RevokeRequest) (*api.Revoked, error) {
	c.order("")
	return &api.Revoked{}, nil
}
func (c *counting) Site(context.Context, api.SiteRequest) (*api.Site, error) {
	c.order("")
	return &api.Site{}, nil
}
func (c *counting) SetWindow(_ context.Context, r api.WindowRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) SetRings(_ context.Context, r api.RingsRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) Promote(_ context.Context, r api.PromoteRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) RecordEvidence(context.Context, api.EvidenceRequest) (*api.Evidence, error) {
	c.order("")
	return &api.Evidence{}, nil
}
func (c *counting) Evidence(context.Context, api.EvidenceQuery) (*api.Evidence, error) {
	c.ask()
	return &api.Evidence{}, nil
}
func (c *counting) Rings(context.Context, api.RingsQuery) (*api.Rings, error) {
	c.ask()
	return &api.Rings{}, nil
}
func (c *counting) SetSetting(_ context.Context, r api.SettingRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) Policy(context.Context, api.PolicyQuery) (*api.Policy, error) {
	c.ask()
	return &api.Policy{}, nil
}
func (c *counting) Wish(context.Context, api.WishRequest) (*api.WishTaken, error) {
	c.order("")
	return &api.WishTaken{}, nil
}
func (c *counting) Windows(context.Context, api.WindowsQuery) (*api.Windows, error) {
	c.ask()
	return &api.Windows{}, nil
}
func (c *counting) TrustState(context.Context) (*api.TrustState, error) {
	c.ask()
	return &api.TrustState{}, nil
}
func (c *counting) ApprovalLog(context.Context, api.LogQuery) (*api.ApprovalLog, error) {
	c.ask()
	return &api.ApprovalLog{}, nil
}
func (c *counting) Draft(context.Context, api.DraftQuery) (*api.DraftView, error) {
	c.order("")
	return &api.DraftView{}, nil
}
func (c *counting) ExportDrafts(context.Context) (*api.DraftFiles, error) {
	c.order("")
	return &api.DraftFiles{}, nil
}
func (c *counting) ImportDraft(_ context.Context, f api.DraftFile) (*api.Published, error) {
	c.order(f.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) Grant(_ context.Context, r api.GrantRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) RootDraft(context.Context, api.RootRequest) (*api.RootView, error) {
	c.order("")
	return &api.RootView{}, nil
}
func (c *counting) AdoptRoot(_ context.Context, f api.RootFile) (*api.RootView, error) {
	c.order(f.Passphrase)
	return &api.RootView{}, nil
}
func (c *counting) Store(context.Context) (*api.Store, error) {
	c.ask()
	return &api.Store{}, nil
}
func (c *counting) StoreVerify(context.Context) (*api.StoreVerified, error) {
	c.order("")
	return &api.StoreVerified{}, nil
}
func (c *counting) StorePin(context.Context, api.PinRequest) (*api.Pinned, error) {
	c.order("")
	return &api.Pinned{}, nil
}
func (c *counting) StoreDrop(context.Context, api.DropRequest) (*api.Dropped, error) {
	c.order("")
	return &api.Dropped{}, nil
}
func (c *counting) Provenance(context.Context, string, string) (*api.Provenance, error) {
	c.ask()
	return &api.Provenance{}, nil
}
func (c *counting) Syncs(context.Context, api.SyncQuery) (*api.SyncLog, error) {
	c.ask()
	return &api.SyncLog{}, nil
}

func (c *counting) Baselines(context.Context, api.BaselineQuery) (*api.Baselines, error) {
	c.ask()
	return &api.Baselines{}, nil
}

func (c *counting) SetBaseline(_ context.Context, r api.BaselineRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}

func (c *counting) ApprovalRules(context.Context, api.RulesQuery) (*api.Rules, error) {
	c.order("")
	return &api.Rules{}, nil
}

func (c *counting) SetApprovalRule(_ context.Context, r api.RuleRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}

func (c *counting) Propose(_ context.Context, r api.ProposeRequest) (*api.Published, error) {
	c.order("")
	return &api.Published{}, nil
}

func (c *counting) Events(context.Context, api.EventQuery) (*api.EventLog, error) {
	c.ask()
	return &api.EventLog{}, nil
}
func (c *counting) BytesReport(context.Context, api.BytesQuery) (*api.BytesReport, error) {
	c.ask()
	return &api.BytesReport{}, nil
}
func (c *counting) Ledger(context.Context, api.LedgerQuery) (*api.Ledger, error) {
	c.ask()
	return &api.Ledger{}, nil
}

func (c *counting) Inventory(context.Context, api.InventoryQuery) (*api.Inventories, error) {
	c.ask()
	return &api.Inventories{}, nil
}
func (c *counting) Groups(context.Context, api.GroupsQuery) (*api.Groups, error) {
	c.ask()
	return &api.Groups{}, nil
}
func (c *counting) Catalogue(context.Context, api.CatalogueQuery) (*api.Catalogue, error) {
	c.ask()
	return &api.Catalogue{}, nil
}

func (c *counting) Notices(context.Context, api.NoticesQuery) (*api.Notices, error) {
	c.ask()
	return &api.Notices{}, nil
}
func (c *counting) AtShutdown(context.Context, api.ShutdownRequest) (*api.ShutdownDone, error) {
	c.order("")
	return &api.ShutdownDone{}, nil
}
func (c *counting) Scan(context.Context, api.ScanRequest) (*api.Scanned, error) {
	c.order("")
	return &api.Scanned{}, nil
}
func (c *counting) SetGroup(_ context.Context, r api.GroupRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
func (c *counting) Claim(context.Context, api.ClaimRequest) (*api.Claimed, error) {
	c.order("")
	return &api.Claimed{}, nil
}
func (c *counting) Doctor(context.Context, api.DoctorQuery) (*api.Diagnosis, error) {
	c.order("")
	return &api.Diagnosis{}, nil
}

func (c *counting) Holds(context.Context, api.HoldQuery) (*api.Holds, error) {
	c.ask()
	return &api.Holds{}, nil
}

func (c *counting) ExceptHold(_ context.Context, r api.ExceptionRequest) (*api.Published, error) {
	c.order(r.Passphrase)
	return &api.Published{}, nil
}
