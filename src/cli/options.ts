/** Readers of option values, for commander's `argParser`. */
import { InvalidArgumentError } from 'commander';

/** A whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

/** A number from 0 to 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('It must be a number from 0 to 1.');
  return value;
}

/** A whole number of at least 0. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 0.');
  return Number(text);
}

/** A number of at least 0. */
export function notNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(Number.isFinite(value) && value >= 0))
    throw new InvalidArgumentError('It must be a number of at least 0.');
  return value;
}

/** A number of shots of each class, or all. */
export function shots(text: string): number | 'all' {
  if (text === 'all') return 'all';
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1, or all.');
  return value;
}
