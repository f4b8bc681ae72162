import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteSource, memoryBytes } from '../../src/io/bytes';
import { openZip } from '../../src/io/zip';
import { crc32, crc32InScript } from '../../src/runtime/crc32';
import { BadFileError } from '../../src/runtime/errors';
import { makeZip, type Part } from './make-torch';

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);
const parts: readonly Part[] = [
  { name: 'a/data.pkl', data: 'the first' },
  { name: 'a/data/0', data: bytes(1000) },
  { name: 'a/version', data: '3\n' },
];

/** Opens the archive and reads all of it. */
async function readAll(archive: Uint8Array): Promise<Map<string, Uint8Array>> {
  const zip = await openZip(memoryBytes(archive, 'some.pt'));
  const all = new Map<string, Uint8Array>();
  for (const entry of zip.entries.values()) all.set(entry.name, await zip.readAll(entry, 1e6));
  return all;
}

async function refused(archive: Uint8Array, fact: RegExp): Promise<void> {
  const error = await readAll(archive).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(BadFileError);
  expect((error as BadFileError).message).toMatch(fact);
  expect((error as BadFileError).message).toMatch(/^some\.pt: /);
}

describe('archives', () => {
  it('gives each entry its own bytes and place', async () => {
    const archive = makeZip(parts);
    const all = await readAll(archive);
    expect(all.get('a/data/0')).toEqual(bytes(1000));
    expect(new TextDecoder().decode(all.get('a/data.pkl'))).toBe('the first');
    const zip = await openZip(memoryBytes(archive, 'some.pt'));
    const { offset, length } = await zip.range(zip.entries.get('a/version')!);
    expect(new TextDecoder().decode(archive.subarray(offset, offset + length))).toBe('3\n');
  });

  it('reads 64-bit records and fields', async () => {
    const wide = makeZip(
      parts.map((part) => ({ ...part, wide: true })),
      { wide: true },
    );
    expect(await readAll(wide)).toEqual(await readAll(makeZip(parts)));
  });

  it('reads a comment at the end, and more than 65,535 entries with a 64-bit record', async () => {
    expect((await readAll(makeZip(parts, { comment: bytes(300) }))).size).toBe(3);
    const many = Array.from({ length: 65_600 }, (_, i) => ({ name: `a/${i}`, data: '' }));
    const zip = await openZip(memoryBytes(makeZip(many, { wide: true }), 'many'));
    expect(zip.entries.size).toBe(65_600);
    // Without the record the count wraps to 64.
    await refused(makeZip(many), /more than the 64 entries/);
  });

  it('checks the CRC over reads in a row, and skips one that was never computed', async () => {
    const damaged = makeZip([{ name: 'x', data: bytes(100), crc: 123 }]);
    const zip = await openZip(memoryBytes(damaged, 'some.pt'));
    const entry = zip.entries.get('x')!;
    await zip.read(entry, 0, 60);
    await zip.read(entry, 10, 20); // a look elsewhere changes nothing
    await expect(zip.read(entry, 60, 40)).rejects.toThrow(/CRC-32/);
    expect((await readAll(makeZip([{ name: 'x', data: bytes(100), crc: 0 }]))).size).toBe(1);
  });

  it('reads only what is asked for', async () => {
    const archive = makeZip([{ name: 'big', data: new Uint8Array(5e6) }, ...parts]);
    let read = 0;
    const inner = memoryBytes(archive, 'some.pt');
    const counting: ByteSource = {
      ...inner,
      read(offset, length) {
        read += length;
        return inner.read(offset, length);
      },
    };
    const zip = await openZip(counting);
    await zip.readAll(zip.entries.get('a/version')!, 10);
    expect(read).toBeLessThan(100_000);
  });
});

describe('archives that lie', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['no directory', makeZip(parts).subarray(0, -22), /cut short/],
    ['cut anywhere', makeZip(parts).subarray(0, 700), /cut short/],
    ['empty', new Uint8Array(0), /cut short/],
    ['two directories, one in the comment of the other', twoEnds(), /two zip directories/],
    ['a second directory record behind', appended(), /does not end at/],
    ['bytes before', Uint8Array.from([...bytes(10), ...makeZip(parts)]), /does not end at/],
    [
      'another name in the local header',
      makeZip([{ ...parts[0]!, localName: 'a/data.pkx' }]),
      /another name/,
    ],
    [
      'a longer name in the local header',
      makeZip([{ ...parts[0]!, localName: 'a/data.pkl2' }]),
      /overlaps|name/,
    ],
    ['wrong CRC', makeZip([{ name: 'x', data: 'abc', crc: 1 }]), /CRC-32/],
    ['encrypted', makeZip([{ name: 'x', data: 'abc', flags: 1 }]), /encrypted/],
    ['strongly encrypted', makeZip([{ name: 'x', data: 'abc', flags: 0x40 }]), /encrypted/],
    ['an entry twice', makeZip([parts[0]!, parts[0]!]), /twice/],
    ['../', makeZip([{ name: 'a/../../x', data: '' }]), /leaves the archive/],
    ['an absolute name', makeZip([{ name: '/x', data: '' }]), /leaves the archive/],
    ['a backslash', makeZip([{ name: '..\\x', data: '' }]), /leaves the archive/],
    ['an overlap', makeZip([parts[1]!, { name: 'b', data: bytes(1000), at: 0 }]), /overlaps/],
    ['a forged size', makeZip([{ name: 'x', data: 'abc', size: 50_000 }]), /overlaps/],
    ['a forged size that fits', makeZip([{ name: 'x', data: bytes(50), size: 20 }]), /contradicts/],
    ['a size unlike the stored one', makeZip([{ name: 'x', data: 'abc', size: 2e9, packed: 3 }]), /claims/],
    ['a bomb', makeZip([{ name: 'x', data: 'abc', size: 900_000, packed: 3, method: 8 }]), /is compressed/],
    ['deflated by its own header only', makeZip([{ name: 'x', data: 'abc', localMethod: 8 }]), /own header/],
    ['too few entries counted', makeZip(parts, { count: 2 }), /more than the 2/],
    ['too many entries counted', makeZip(parts, { count: 4 }), /claims 4 entries/],
    ['2^60 entries', makeZip(parts, { wide: (r) => fill(r, 24, 2n ** 60n, 2n ** 60n) }), /contradict/],
    [
      'a 64-bit place of 2^63',
      makeZip(parts, { wide: (r) => r.writeBigUInt64LE(2n ** 63n, 48) }),
      /contradict/,
    ],
    [
      'a locator that points elsewhere',
      makeZip(parts, { wide: (_, l) => l.writeBigUInt64LE(5n, 8) }),
      /not where/,
    ],
    [
      'a locator past the end',
      makeZip(parts, { wide: (_, l) => l.writeBigUInt64LE(2n ** 63n, 8) }),
      /outside/,
    ],
    ['no UTF-8', noText(), /UTF-8/],
    ['garbage within the directory', broken(), /ends after 1 of 3/],
  ])('%s', (_, archive, fact) => refused(archive, fact));

  function fill(record: Buffer, at: number, ...values: bigint[]): void {
    for (const [i, value] of values.entries()) record.writeBigUInt64LE(value, at + 8 * i);
  }

  function noText(): Uint8Array {
    const archive = Buffer.from(makeZip(parts)).toString('latin1').replaceAll('a/version', 'a/\xff\xffrsion');
    return Uint8Array.from(Buffer.from(archive, 'latin1'));
  }

  function broken(): Uint8Array {
    const archive = Buffer.from(makeZip(parts));
    const second = archive.indexOf('PK\x01\x02', archive.indexOf('PK\x01\x02') + 1);
    archive[second] = 0;
    return Uint8Array.from(archive);
  }

  function twoEnds(): Uint8Array {
    const inner = makeZip([]);
    return makeZip(parts, { comment: inner });
  }

  function appended(): Uint8Array {
    const archive = makeZip(parts);
    return Uint8Array.from([...archive, ...archive.subarray(-22)]);
  }
});

it.each([
  ['chosen here', crc32],
  ['without zlib', crc32InScript],
])('CRC-32, as %s, has the published check value and goes on from part to part', (_, crc) => {
  expect(crc(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  const data = bytes(1001);
  for (const at of [0, 1, 7, 333, 1001])
    expect(crc(data.subarray(at), crc(data.subarray(0, at)))).toBe(crc32InScript(data));
});

it('changed bytes give the same content or a BadFileError, quickly', async () => {
  const archive = makeZip(parts, { wide: true });
  const whole = await readAll(archive);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(archive.length), { nil: undefined, freq: 5 }),
      async (changes, cut) => {
        const changed = archive.slice(0, cut);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        try {
          for (const [name, data] of await readAll(changed)) {
            if (whole.has(name)) expect(data).toEqual(whole.get(name));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(BadFileError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
