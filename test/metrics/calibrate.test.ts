import fc from 'fast-check';
import { expect, test } from 'vitest';
import { calibrate, parseCalibrationRule } from '../../src/metrics';
import { OptionError, ValueError } from '../../src/runtime/errors';
import { confusion, naiveF1, naiveSensitivityAt, type Sample, thresholdsOf } from './naive';

const samples = fc
  .array(fc.record({ abnormal: fc.boolean(), score: fc.integer({ min: -4, max: 4 }) }), { maxLength: 30 })
  .map((some): Sample[] => [...some, { abnormal: true, score: 5 }, { abnormal: false, score: -5 }]);

function youden(some: readonly Sample[], threshold: number): number {
  const { tp, fn, fp, tn } = confusion(some, threshold);
  return tp / (tp + fn) + tn / (tn + fp) - 1;
}

test('thresholds are the best by their rules', () => {
  fc.assert(
    fc.property(samples, (some) => {
      const labels = some.map(({ abnormal }) => abnormal);
      const scores = some.map(({ score }) => score);
      const best = (value: (threshold: number) => number) => Math.max(...thresholdsOf(some).map(value));
      const f1 = calibrate(labels, scores);
      expect(f1.rule).toBe('f1max');
      expect(naiveF1(some, f1.threshold)).toBeCloseTo(
        best((t) => naiveF1(some, t)),
        12,
      );
      const index = calibrate(labels, scores, 'youden').threshold;
      expect(youden(some, index)).toBeCloseTo(
        best((t) => youden(some, t)),
        12,
      );
      const at = confusion(some, calibrate(labels, scores, 'specificity=0.8').threshold);
      expect(at.tn / (at.tn + at.fp)).toBeGreaterThanOrEqual(0.8);
      expect(at.tp / (at.tp + at.fn)).toBeCloseTo(naiveSensitivityAt(some, 0.8), 12);
    }),
  );
});

test('a rule survives being written down and read again', () => {
  const { rule } = calibrate([0, 1], [0, 1], 'specificity=0.0000001');
  expect(parseCalibrationRule(rule)).toBe(rule);
});

test('rules are parsed strictly', () => {
  expect(parseCalibrationRule('specificity=0.950')).toBe('specificity=0.95');
  expect(parseCalibrationRule('specificity=1')).toBe('specificity=1');
  for (const text of [
    '',
    'f1',
    'specificity',
    'specificity=',
    'specificity=95',
    'specificity=1.5',
    'specificity=-0.5',
    'specificity=0.95 ',
  ]) {
    expect(() => parseCalibrationRule(text)).toThrow(OptionError);
  }
});

test('what cannot be calibrated is refused', () => {
  expect(() => calibrate([1, 1], [1, 2])).toThrow(/0 normal and 2 abnormal/);
  expect(() => calibrate([0, 1], [1, Number.NaN])).toThrow(ValueError);
  expect(() => calibrate([1, 0], [1, 2], 'youden')).toThrow(ValueError);
  expect(() => calibrate([1, 0], [1, 2], 'specificity=1')).toThrow(ValueError);
  expect(calibrate([1, 0], [1, 2]).threshold).toBe(1);
});
