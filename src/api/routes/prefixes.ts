/** How the paths of the control routes begin. */
export const project = '/api/v1/projects/{project}';
export const platform = '/api/v1/platform';
