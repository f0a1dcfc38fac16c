package e2e

// projectRoot is where go.mod stands, seen from this package, in whose folder
// its tests run.
const projectRoot = "../../../.."
