package lambda

import "strings"

const maxLayers = 5

// checkLayers refuses references to layers: none can be published here yet,
// so each that is well formed does not exist.
func (h *Handler) checkLayers(layers []string) error {
	if len(layers) > maxLayers {
		return invalid("Cannot reference more than %d layers.", maxLayers)
	}
	seen := map[string]string{}
	for _, arn := range layers {
		parts := strings.Split(arn, ":") // arn:aws:lambda:REGION:ACCOUNT:layer:NAME:VERSION
		if len(parts) == 8 && parts[3] != h.cfg.Region {
			return invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", h.cfg.Region)
		}
		layer := arn[:strings.LastIndexByte(arn, ':')]
		if other, twice := seen[layer]; twice {
			return invalid("Two different versions of the same layer are not allowed to be referenced in the same function. "+
				"%s and %s are versions of the same layer.", other, arn)
		}
		seen[layer] = arn
	}
	for _, arn := range layers {
		return invalid("Layer version %s does not exist.", arn)
	}
	return nil
}
