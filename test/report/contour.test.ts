/** Outlines: checked against the mask that they are drawn from, filled as a browser fills them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makePhantom } from '../../src/data/phantoms';
import { mapContour, maskContour } from '../../src/report/contour';
import { ShapeError } from '../../src/runtime/errors';

type Points = [number, number][];
const parse = (path: string): Points[] =>
  path
    .split('Z')
    .filter(Boolean)
    .map((loop) => {
      expect(loop).toMatch(/^M/);
      return loop
        .slice(1)
        .split('L')
        .map((corner) => corner.split(' ').map(Number) as [number, number]);
    });

/** Which pixel centres lie inside, by the even-odd rule. */
function fill(loops: Points[], width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    let inside = 0;
    for (const loop of loops) {
      loop.forEach(([x0, y0], k) => {
        const [x1, y1] = loop[(k + 1) % loop.length]!;
        if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) inside ^= 1;
      });
    }
    return inside;
  });
}

const area = (loop: Points) =>
  loop.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = loop[(i + 1) % loop.length]!;
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);

/** Regions of equal value; diagonal neighbours belong together where `corners` says so. */
function count(mask: Uint8Array, width: number, height: number, value: number, corners: boolean): number {
  const seen = new Uint8Array(mask.length);
  let regions = 0;
  for (const [start, v] of mask.entries()) {
    if (v !== value || seen[start]) continue;
    regions++;
    const queue = [start];
    seen[start] = 1;
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      const i: number = at;
      for (const dy of [-1, 0, 1]) {
        for (const dx of [-1, 0, 1]) {
          const x = (i % width) + dx;
          const y = Math.floor(i / width) + dy;
          if ((dx && dy && !corners) || x < 0 || y < 0 || x >= width || y >= height) continue;
          const o = y * width + x;
          if (mask[o] === value && !seen[o]) {
            seen[o] = 1;
            queue.push(o);
          }
        }
      }
    }
  }
  return regions;
}

/** With a border of zeros: what is outside is one region there. */
function bordered(mask: Uint8Array, width: number, height: number): Uint8Array {
  const out = new Uint8Array((width + 2) * (height + 2));
  mask.forEach((v, i) => {
    out[(Math.floor(i / width) + 1) * (width + 2) + (i % width) + 1] = v;
  });
  return out;
}

const masks = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })).chain(([w, h]) =>
  fc.record({
    w: fc.constant(w),
    h: fc.constant(h),
    mask: fc.uint8Array({ minLength: w * h, maxLength: w * h, max: 1 }),
  }),
);

test('an outline, filled, is the mask; regions go round one way and holes the other', () => {
  fc.assert(
    fc.property(masks, ({ w, h, mask }) => {
      const loops = parse(maskContour(mask, w, h));
      expect(fill(loops, w, h)).toEqual(mask);
      const outer = loops.filter((loop) => area(loop) > 0).length;
      expect(outer).toBe(count(mask, w, h, 1, true));
      expect(loops.length - outer).toBe(count(bordered(mask, w, h), w + 2, h + 2, 0, false) - 1);
    }),
    { numRuns: 500 },
  );
});

test('of a phantom’s lesions, with fewer corners than pixels along the way', () => {
  for (const seed of [1, 2, 3, 4]) {
    const { mask } = makePhantom(seed, { size: 96, abnormal: true });
    const loops = parse(maskContour(mask, 96, 96));
    expect(fill(loops, 96, 96)).toEqual(mask);
    const size = mask.reduce((a, b) => a + b);
    expect(loops.flat().length).toBeLessThan(12 + size / 3);
  }
});

test('the whole picture is outlined by its border, nothing by nothing', () => {
  const [loop, ...more] = parse(maskContour(new Uint8Array(12).fill(255), 4, 3));
  expect(more).toEqual([]);
  // Marching squares cut half a pixel off each corner.
  expect(area(loop!)).toBe(11.5);
  for (const [x, y] of loop!) expect(x === 0 || x === 4 || y === 0 || y === 3).toBe(true);
  expect(maskContour(new Uint8Array(12), 4, 3)).toBe('');
});

test('drawn at another size and aspect', () => {
  const mask = Uint8Array.of(0, 1, 0, 0);
  const own = parse(maskContour(mask, 2, 2)).flat();
  const large = parse(maskContour(mask, 2, 2, { target: { width: 200, height: 20 } })).flat();
  expect(large).toEqual(own.map(([x, y]) => [x * 100, y * 10]));
});

test('of a map: where it reaches the threshold, between pixels in proportion', () => {
  // 0, 1, 4, 1, 0 in the middle row: 2 lies a third of the way from 1 to 4.
  const map = new Float32Array(15);
  map.set([0, 1, 4, 1, 0], 5);
  const [loop] = parse(mapContour(map, 5, 3, 2));
  const xs = loop!.map(([x]) => x);
  expect(Math.min(...xs)).toBeCloseTo(1.5 + 1 / 3, 2);
  expect(Math.max(...xs)).toBeCloseTo(3.5 - 1 / 3, 2);
});

test('a pixel that just reaches the threshold is seen, NaN never', () => {
  const map = Float32Array.of(0, 0, 0, 0, 0.5, Number.NaN, 0, 0, 0);
  const loops = parse(mapContour(map, 3, 3, 0.5));
  expect(loops.length).toBe(1);
  expect(fill(loops, 3, 3)).toEqual(Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0));
  expect(area(loops[0]!)).toBeGreaterThan(0.01);
  expect(mapContour(new Float32Array(4).fill(Number.NaN), 2, 2, 0)).toBe('');
});

test('noise is halved until the path is short, and no region is lost', () => {
  const mask = Uint8Array.from({ length: 400 * 400 }, (_, i) =>
    (i % 2) ^ (Math.floor(i / 400) % 2) ? 1 : 0,
  );
  expect(maskContour(mask, 400, 400).length).toBeLessThan(100);
  const dots = new Uint8Array(400 * 400);
  for (let y = 0; y < 400; y += 8) for (let x = 0; x < 400; x += 8) dots[y * 400 + x] = 1;
  const loops = parse(maskContour(dots, 400, 400, { maxCrossings: 10_000 }));
  expect(loops.length).toBe(2500);
  for (const [x, y] of loops.flat()) expect(Math.max(x, y)).toBeLessThanOrEqual(400);
});

test('a mask of another size is a typed error', () => {
  expect(() => maskContour(new Uint8Array(5), 2, 2)).toThrow(ShapeError);
  expect(() => mapContour(new Float32Array(0), 0, 0, 1)).toThrow(ShapeError);
});
