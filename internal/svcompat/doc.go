// Package svcompat is the supervision side: the commands of daemontools that
// keep, watch and control services (supervise, svc, svstat, svok), those that
// prepare the process state of a service (setuidgid, envuidgid, envdir,
// softlimit, setlock, pgrphack, fghack), and the formats that they share.
//
// SuperviseDir and Status are the seam to whoever keeps the services running:
// supervise, or svscan where systemd runs them. The package knows nothing of
// systemd, networks, mail or logs, since its commands start thousands of
// times where services are many.
package svcompat
