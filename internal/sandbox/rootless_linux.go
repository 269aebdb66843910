package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// restrictions are the settings that keep user namespaces from ordinary users.
// The kernel's own answer tells little, or comes late: AppArmor lets the
// namespace be made and then refuses every capability in it.
var restrictions = []struct{ setting, value, whom string }{
	{"user/max_user_namespaces", "0", "everybody"},
	{"kernel/unprivileged_userns_clone", "0", "ordinary users"},
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "programs without an AppArmor profile, as is usual on Ubuntu"},
}

// userNamespaces says which setting below sys, /proc/sys, keeps user
// namespaces from ordinary users; empty when none does.
func userNamespaces(sys string) string {
	for _, r := range restrictions {
		b, err := os.ReadFile(filepath.Join(sys, r.setting))
		if err == nil && strings.TrimSpace(string(b)) == r.value {
			return fmt.Sprintf(": the setting %s=%s keeps user namespaces from %s; run as root, or have it changed",
				strings.ReplaceAll(r.setting, "/", "."), r.value, r.whom)
		}
	}
	return ""
}
