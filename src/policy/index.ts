// The rules for drivers and the staging area.
// Not the conformance suite: that judges behaviour.
export {};
