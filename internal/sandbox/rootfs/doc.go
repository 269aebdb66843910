// Package rootfs builds the read-only root directory of sandboxes out of the
// machine's own: /usr as it is, a few chosen files of /etc, the harmless
// devices, and nothing else. In particular nothing of /home, /root, /var,
// /srv, /mnt, /opt, /boot and /sys is in it, and of /etc nothing that is not
// readable by everybody.
//
// It also has the few calls of the kernel's mount interface that a sandbox
// takes. Depends on the standard library and x/sys alone, as package initproc
// does, which uses it.
package rootfs
