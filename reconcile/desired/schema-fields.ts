/** Fields that more than one kind has. */
import * as z from 'zod';

export const apiVersion = 'patchpanel.dev/v1alpha1';

// Lengths are checked first, and end the check: the patterns below take quadratic time on absurdly long names.
const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(?:\\.${label})*`;
export const labelPattern = new RegExp(`^${label}$`);
const subdomainPattern = new RegExp(`^${subdomain}$`);
export const networkPattern = new RegExp(`^(?:${label}/)?${subdomain}$`);

export const objectName = z
  .string()
  .max(253, { abort: true, error: 'is longer than 253 characters' })
  .regex(subdomainPattern, { error: 'must be a DNS name: lower-case letters, digits, dashes and dots' });

export const namespaceName = z
  .string()
  .max(63, { abort: true, error: 'is longer than 63 characters' })
  .regex(labelPattern, { error: 'must be a DNS label: lower-case letters, digits and dashes' });

export const labelKey = z
  .string()
  .max(317, { abort: true, error: 'is too long' })
  .regex(/^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/, {
    error: 'is not a label key',
  });
export const labelValue = z
  .string()
  .max(63, { abort: true, error: 'is longer than 63 characters' })
  .regex(/^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, { error: 'is not a label value' });

export const metadata = {
  labels: z.record(z.string(), z.string()).optional().describe('For your own use; patchpanel ignores them.'),
  annotations: z.record(z.string(), z.string()).optional().describe('For your own use; patchpanel ignores them.'),
};
