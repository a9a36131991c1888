/** An amount of the operator's unit, as a decimal number: millionths are too fine to read. */
import { z } from 'zod';

export const costSchema = z.string().regex(/^\d+\.\d{6}$/);
