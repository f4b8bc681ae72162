/** The ceiling of matrix units, where a device offers them. A bench-only op, as `fma`. */
import type { KernelCase, OpSuite } from '../../src/kernels/suite';
import { ShapeError } from '../../src/runtime/errors';
import type { Capabilities, MatrixConfig } from '../../src/runtime/index';
import type { Op } from '../../src/runtime/op';
import { sizeOf, tensorType } from '../../src/runtime/tensor-type';
import wgsl from './matrix.wgsl';

export interface MatrixAttrs {
  readonly config: MatrixConfig;
  /** Independent sums of a subgroup. */
  readonly chains: number;
  readonly workgroups: number;
  /** Products added to each sum; multiple of 4. */
  readonly steps: number;
  /** Invocations of a subgroup. */
  readonly lanes: number;
}

const UNROLL = 4;

export const matrixOp: Op<MatrixAttrs> = {
  name: 'matrix units',
  infer([x], { workgroups, lanes, steps }) {
    if (!x || sizeOf(x) !== 2) throw new ShapeError('matrix units take two factors.');
    if (steps % UNROLL !== 0)
      throw new ShapeError(`matrix units: ${steps} steps are no multiple of ${UNROLL}.`);
    return [tensorType('f32', [workgroups * lanes])];
  },
  variants: [
    {
      name: 'registers',
      lower: ({ attrs: { config, chains, workgroups, steps, lanes } }) => {
        const { M, N, K } = config;
        return {
          variant: 'registers',
          dispatches: [
            {
              kernel: { name: 'matrix', wgsl },
              constants: {
                ...{ LANES: lanes, FM: M, FN: N, FK: K, A_SIZE: M * K, B_SIZE: K * N, STAGE: M * N },
                ...{ CHAINS: chains, ITERATIONS: steps / UNROLL, UNROLL },
              },
              types: { T: config.component as 'f32' | 'f16' },
              bindings: { x: { input: 0 }, y: { output: 0 } },
              workgroups: [workgroups, 1, 1],
            },
          ],
        };
      },
    },
  ],
  choose: () => 'registers',
  flops: ({ attrs: { config, chains, workgroups, steps } }) =>
    2 * config.M * config.N * config.K * chains * steps * workgroups,
};

/** Every configuration that keeps f32 sums, as the kernels ask for; no cases where there is none. */
export function matrixSuite(caps: Capabilities): OpSuite<MatrixAttrs> {
  const { matrixConfigs, subgroupMinSize: lanes, subgroupMaxSize } = caps;
  const usable = matrixConfigs.filter(
    ({ component, result }) =>
      result === 'f32' && (component === 'f32' || component === 'f16') && lanes === subgroupMaxSize,
  );
  return {
    op: matrixOp,
    reference: ([x], { attrs: { config, chains, workgroups, steps, lanes } }) => {
      const each = steps * config.K * x![0]! * x![1]!;
      return [new Float64Array(workgroups * lanes).fill(chains * each + (chains * (chains - 1)) / 2)];
    },
    cases: usable.flatMap((config) =>
      [1, 4, 8].map(
        (chains): KernelCase<MatrixAttrs> => ({
          name: `${config.component} ${config.M}x${config.N}x${config.K}, ${chains} sums`,
          inputs: [tensorType('f32', [2])],
          attrs: { config, chains, workgroups: 8192, steps: 512, lanes },
          fill: () => [1, 1],
          bench: true,
        }),
      ),
    ),
  };
}
