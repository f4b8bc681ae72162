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

/** Which slices of a volume: from, before, every how many; absent parts as in Python. */
export interface SliceRange {
  readonly from?: number;
  readonly to?: number;
  readonly step?: number;
}

/** `a:b:step`, `a:b` or one number; slices count from 0, b is left out. */
export function sliceRange(text: string): SliceRange {
  const match = /^(\d{0,9})(?::(\d{0,9}))?(?::(\d{0,9}))?$/.exec(text);
  if (!match || text === '' || match[3] === '0')
    throw new InvalidArgumentError('It must be a:b, a:b:step or one number, counted from 0.');
  const [, a, b, step] = match.map((part) => (part ? Number(part) : undefined));
  if (match[2] === undefined) return { from: a!, to: a! + 1 };
  return { ...(a !== undefined && { from: a }), ...(b !== undefined && { to: b }), ...(step && { step }) };
}

/** `CENTRE,WIDTH` in the file's units. */
export function grayWindow(text: string): { center: number; width: number } {
  const [center, width, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!Number.isFinite(center) || !Number.isFinite(width) || !(width! > 0) || rest.length > 0)
    throw new InvalidArgumentError('It must be CENTRE,WIDTH, two numbers, the width over 0.');
  return { center: center!, width: width! };
}

/** 0, 1 or 2. */
export function voxelAxis(text: string): 0 | 1 | 2 {
  if (!/^[012]$/.test(text)) throw new InvalidArgumentError('It must be 0, 1 or 2.');
  return Number(text) as 0 | 1 | 2;
}
