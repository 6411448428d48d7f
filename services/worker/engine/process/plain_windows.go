package process

// plainOnly is nothing here; what was opened is looked at afterwards.
const plainOnly = 0
