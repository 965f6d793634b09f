import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const server = 'http://127.0.0.1:8787'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2023',
    // The server's policy has no `font-src data:`, so nothing may be inlined.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/api': server, '/ingest': server },
  },
})
