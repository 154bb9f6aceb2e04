"""Downloads torrents with libtorrent and seeds on; a complete file is linked into a folder."""
import argparse
import os

import libtorrent as lt

args = argparse.ArgumentParser()
args.add_argument("--listen", required=True)
args.add_argument("--dir", required=True)
args.add_argument("--got", required=True)
args.add_argument("--seed", action="store_true")
args.add_argument("--rc4", action="store_true")
args.add_argument("--plain-seed", action="store_true")
args.add_argument("torrents", nargs="+")
args = args.parse_args()

policy = lt.enc_policy.forced if args.rc4 else lt.enc_policy.disabled
session = lt.session({
    "listen_interfaces": args.listen + ":6881",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    # uTP makes way for others: on links of one's own it only loses.
    "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "out_enc_policy": int(policy), "in_enc_policy": int(policy),
    "allowed_enc_level": int(lt.enc_level.rc4 if args.rc4 else lt.enc_level.both),
    "active_downloads": -1, "active_seeds": -1, "active_limit": 1000,
    "alert_mask": int(lt.alert.category_t.status_notification),
})
handles = []
for path in args.torrents:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(path)
    params.save_path = args.dir
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if args.seed:
        params.flags |= lt.torrent_flags.seed_mode
        if not args.plain_seed:
            params.flags |= lt.torrent_flags.super_seeding
    handles.append(session.add_torrent(params))
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.torrent_finished_alert) and not args.seed:
            alert.handle.flush_cache()
            name = alert.handle.torrent_file().name()
            try:
                os.link(os.path.join(args.dir, name), os.path.join(args.got, name))
            except FileExistsError:
                pass
