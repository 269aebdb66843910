export interface Greeting { message: string }

export function greet(name: string): Greeting {
  if (name === '') throw new RangeError('nobody is there');
  return { message: `Hello ${name}` };
}
