import { createStore } from '../lib/store'

export const helpStore = createStore(false)
export const paletteStore = createStore(false)
