package node

import (
	"fmt"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// suits refuses what an update says of itself that it cannot do: to go again, or to be installed behind the back
// of a person whom its installer asks. A machine would only find out when it is too late.
func suits(row state.CatalogueRow, action policy.Action, r api.ApproveRequest, now time.Time) error {
	d, err := policy.DecodeDescriptor(row.Body)
	if err != nil {
		return fmt.Errorf("approve %s: %w", row.Update, err)
	}
	if action == policy.ActionRemove && !d.Removable {
		return api.Errorf(api.ClassRefused, "%s cannot be removed: its import says so", d.Update).
			WithHint("approve an update that replaces it, or import it anew with a way back")
	}
	if d.Mitigates != "" && !now.Before(d.MitigationEnds) && (action == policy.ActionInstall || action == policy.ActionOptional) {
		return api.Errorf(api.ClassRefused, "%s has ended at %s: no machine would install it, and what has it takes it off", d.Update, stampText(d.MitigationEnds)).
			WithHint("import it again with a later --mitigation-ends, if %s is not everywhere yet", d.Mitigates)
	}
	if action == policy.ActionOptional && (!r.Deadline.IsZero() || r.DeadlineMinutes > 0 || r.Expedite) {
		return api.Errorf(api.ClassRefused, "what is optional waits for the user of the machine: it gets no deadline and is not expedited").
			WithHint("leave --deadline and --expedite away, or approve it with --action install")
	}
	if action == policy.ActionInstall && d.MayAsk() && (!r.Deadline.IsZero() || r.DeadlineMinutes > 0 || r.Expedite) {
		return api.Errorf(api.ClassRefused, "the installer of %s may ask the user (asks_user: %s): it gets no deadline and is not expedited", d.Update, d.AsksUser).
			WithHint("approve it without --deadline and --expedite, or import it with arguments that make it silent and --asks-user never")
	}
	return nil
}
