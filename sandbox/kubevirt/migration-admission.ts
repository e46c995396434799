/** What virt-api's mutating webhook adds to a migration. */
import type { AdmissionHook } from '../api/contract.ts';

export const vmiNameLabel = 'kubevirt.io/vmi-name';
export const migrationFinalizer = 'kubevirt.io/migrationJobFinalize';

/** The label by which the migrations of a VMI are found, and virt-controller's finalizer. */
export const migrationAdmission: AdmissionHook = {
  group: 'kubevirt.io',
  plural: 'virtualmachineinstancemigrations',
  mutate: ({ operation, object, subresource }) => {
    if (object === undefined) throw new Error('there is no migration to complete');
    if (operation !== 'CREATE' || subresource !== undefined) return object;
    const { vmiName } = (object.spec ?? {}) as { readonly vmiName?: unknown };
    const { metadata } = object;
    return {
      ...object,
      metadata: {
        ...metadata,
        labels: { ...metadata.labels, [vmiNameLabel]: String(vmiName ?? '') },
        finalizers: [...(metadata.finalizers ?? []).filter((one) => one !== migrationFinalizer), migrationFinalizer],
      },
    };
  },
};
