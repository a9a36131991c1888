/** Types of columns that both databases share (`tables.ts`, T2 and T3). */
export type Flag = 0 | 1;

/** A list as JSON text (T3). */
export type JsonText = string;
