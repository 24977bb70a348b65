// Package svcompat is the supervision side: the commands of daemontools that
// start, watch and control services (supervise, svscan, svc, svstat, svok),
// those that prepare the process state of a service (setuidgid, envuidgid,
// envdir, softlimit, setlock, pgrphack, fghack), and the formats that they
// share.
//
// SuperviseDir and Status are the seam to whoever keeps the services running:
// supervise, or svscan where systemd runs them, which gets their state from
// there and turns control letters into operations on units. The package knows
// nothing of networks, mail or logs.
package svcompat
