package node

import (
	"fmt"
	"os/user"

	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/node/peercred"
)

// localAPI says how a service is offered on the local sockets.
func (c *Config) localAPI(s api.Service) control.Config {
	return control.Config{
		Dir: first(c.Sockets, c.DataDir), Service: s, Who: peercred.Of, Log: c.Log,
		Access: control.Access{Admins: c.Admins, Status: c.StatusFor},
	}
}

// checkLocalAPI turns the group's name into its number.
func (c *Config) checkLocalAPI() error {
	switch c.StatusFor {
	case "", control.StatusOwner, control.StatusGroup, control.StatusAll:
	default:
		return fmt.Errorf("status is for %q, must be owner, group or all", c.StatusFor)
	}
	if c.Admins == "" {
		return nil
	}
	g, err := user.LookupGroup(c.Admins)
	if err != nil {
		if g, err = user.LookupGroupId(c.Admins); err != nil {
			return fmt.Errorf("there is no group %q", c.Admins)
		}
	}
	c.Admins = g.Gid
	return nil
}
