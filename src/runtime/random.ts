/** Small seeded random numbers: the same stream on every platform, for phantoms and other data made on purpose. */
export class Random {
  private state: number;
  private spare: number | null = null;

  /** @param seed any integer; its low 32 bits count. */
  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /**
   * The next 32 random bits: a Weyl sequence (steps of 2^32 over the golden ratio) through the finaliser "lowbias32"
   * (Chris Wellons, "Prospecting for Hash Functions", 2018). Plenty for pictures, and four lines.
   */
  private bits(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    return (x ^ (x >>> 16)) >>> 0;
  }

  /** Uniform in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.bits() / 2 ** 32);
  }

  /** Whole number in [low, high). */
  integer(low: number, high: number): number {
    return Math.floor(this.uniform(low, high));
  }

  /** One of the list's values. */
  choice<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length)]!;
  }

  /** Normal deviate, mean 0, deviation 1 (Box and Muller 1958); they come in pairs, the second waits. */
  normal(): number {
    if (this.spare !== null) {
      const value = this.spare;
      this.spare = null;
      return value;
    }
    // 1 - u is never 0, so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
