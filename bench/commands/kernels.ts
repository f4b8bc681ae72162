import { Option } from 'commander';
import { benchKernels, chooseCases, type KernelChoice } from '../kernels/kernels';
import { type MeasuringFlags, measuringCommand } from '../measuring';

export const kernelsCommand = measuringCommand<MeasuringFlags & KernelChoice>({
  name: 'kernels',
  text: 'kernels on the shapes of real models',
  declare: (command) =>
    command
      .option('--op <name>', 'one op, gemm for instance')
      .option('--case <substring>', 'cases with this in their name')
      .addOption(
        new Option('--variants <which>', "every variant of a kernel, or the engine's choice")
          .choices(['all', 'chosen'])
          .default('chosen'),
      )
      .addOption(
        new Option(
          '--check <which>',
          'compare large cases with their own reference (minutes), or with a smaller case of the same kernel',
        )
          .choices(['affordable', 'all'])
          .default('affordable'),
      ),
  verify: chooseCases,
  measure: benchKernels,
});
