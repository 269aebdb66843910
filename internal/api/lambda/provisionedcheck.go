package lambda

import (
	"github.com/millicent-run/millicent"
)

const errUnpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."

// checkProvisioned refuses what f cannot have provisioned under n's qualifier.
func (h *Handler) checkProvisioned(f *millicent.Function, n name, wanted int) error {
	alias := f.Aliases[n.qualifier]
	switch {
	case alias == nil && !hasVersion(f, n.qualifier):
		return h.unprovisionable(n)
	case alias == nil:
		if err := h.checkProvisionedVersion(f, n.qualifier, true); err != nil {
			return err
		}
		for q := range f.Provisioned {
			if a := f.Aliases[q]; a != nil && a.Names(n.qualifier) {
				return conflict("Version is pointed by a Provisioned Concurrency alias")
			}
		}
	default:
		if len(alias.Weights) > 0 {
			return invalid("Alias with weights can not be used with Provisioned Concurrency")
		}
		if err := h.checkProvisionedAlias(f, alias, true); err != nil {
			return err
		}
	}
	total := f.ProvisionedTotal() + wanted
	if old := f.Provisioned[n.qualifier]; old != nil {
		total -= old.Concurrency
	}
	return h.checkProvisionedTotal(f, total)
}

// checkProvisionedAlias refuses an alias of versions that it cannot have
// provisioned environments of.
func (h *Handler) checkProvisionedAlias(f *millicent.Function, a *millicent.Alias, active bool) error {
	numbers := []string{a.Version}
	for number := range a.Weights {
		numbers = append(numbers, number)
	}
	for _, number := range numbers {
		for q := range f.Provisioned {
			if other := f.Aliases[q]; q == number || other != nil && q != a.Name && other.Names(number) {
				return conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
			}
		}
		if err := h.checkProvisionedVersion(f, number, active); err != nil {
			return err
		}
	}
	return nil
}

// checkProvisionedVersion refuses a version that cannot be initialised ahead;
// with active also one that cannot be now.
func (h *Handler) checkProvisionedVersion(f *millicent.Function, number string, active bool) error {
	if number == millicent.Latest {
		return invalid(errUnpublished)
	}
	v, err := h.cfg.Store.Version(f.Tenant, f.Name, number)
	switch {
	case err != nil:
		return err
	case active && v.State != millicent.StateActive:
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: %s", v.State)
	case v.SnapStart:
		return invalid("Provisioned Concurrency cannot be used with SnapStart, which version %s has enabled.", number)
	}
	return nil
}

// checkProvisionedTotal refuses more than the function's reserved concurrency
// has room for, or without one its tenant's.
func (h *Handler) checkProvisionedTotal(f *millicent.Function, total int) error {
	if f.Reserved != nil {
		if total > *f.Reserved {
			return invalid("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
		}
		return nil
	}
	unreserved := h.unreserved(f.Tenant, f.Name)
	switch {
	case total > unreserved:
		return typeless(invalid("Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [%d].", unreserved))
	case unreserved-total < minUnreserved:
		return typeless(invalid("Specified ConcurrentExecutions for function decreases account's "+
			"UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved))
	}
	return nil
}
