"""Pure numerics: arrays and frames in, frozen results out. No IO, no clock, no logging, no Dagster."""
